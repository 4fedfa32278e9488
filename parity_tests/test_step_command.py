"""python -m parity_tests step: cases, somebody's own functions, and `step(...)` from a notebook."""

import html
import re
import textwrap

import numpy as np
import pytest

from parity_tests import __main__ as lab
from parity_tests import step
from parity_tests.harness.errors import UserError
from parity_tests.harness.stepper import command, user_function
from parity_tests.harness.stepper.stepped import Stepped


OWN = """
    import numpy as np

    def example_inputs():
        rng = np.random.default_rng(0)
        return {"x": rng.standard_normal((2, 3, 4)), "gamma": rng.standard_normal(4), "eps": 1e-5}

    def mean_of(x):
        mean = x.mean(axis=-1, keepdims=True)
        return mean

    def my_norm(x, gamma, eps):
        rms = np.sqrt(mean_of(x * x) + eps)
        x_hat = x / rms
        return x_hat * gamma, (x_hat, rms, gamma)

    def my_norm_backward(d_y, cache):
        x_hat, rms, gamma = cache
        d_x_hat = d_y * gamma
        d_x = (d_x_hat - x_hat * mean_of(d_x_hat * x_hat)) / rms
        return d_x, (d_y * x_hat).sum(axis=(0, 1))

    def other(d_y, cache):
        x_hat, rms, gamma = cache
        d_x_hat = d_y * gamma
        d_x = d_x_hat / rms
        return d_x, (d_y * x_hat).sum(axis=(0, 1))
"""


def said(capsys, *words):
    """(status, stdout, stderr) of a command line."""
    status = lab.main(list(map(str, words)))
    return status, *capsys.readouterr()


def refused(capsys, *words):
    """The one line that a refused command line says."""
    status, out, err = said(capsys, "step", *words)
    assert (status, out) == (2, "") and err.startswith("step: ") and err.count("\n") == 1, err
    return err.removeprefix("step: ").rstrip("\n")


def own_trace(path, name="my_norm", **options):
    return user_function.trace_file(path, name, options.get("inputs"), options.get("backward"))


def value_named(trace, name):
    return next(value for value in trace.values if value.name == name)


# The verb

def test_without_a_terminal_the_run_is_printed(capsys):
    status, out, err = said(capsys, "step", "rms_norm")
    assert (status, err) == (0, "") and out.startswith("rms_norm, plain: ")
    assert "  rms_norm_lean_backward" not in out and "d_x  gradient of x" in out


def test_a_lean_form(capsys):
    assert "layer_norm_lean_backward" in said(capsys, "step", "layer_norm", "--form", "lean", "--text")[1]
    assert "rms_norm has no lean form" in refused(capsys, "rms_norm", "--form", "lean")


def test_in_a_terminal_the_stepper_opens(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(command, "is_terminal", lambda: True)
    monkeypatch.setattr("parity_tests.harness.stepper.terminal.show", shown.append)
    assert said(capsys, "step", "relu") == (0, "", "") and shown[0].title == "relu, plain"
    assert "relu, plain" in said(capsys, "step", "relu", "--text")[1] and len(shown) == 1


def test_a_page_is_written(tmp_path, capsys):
    path = tmp_path / "new" / "page.html"
    assert said(capsys, "step", "relu", "-o", path) == (0, f"wrote {path}\n", "")
    assert "relu, plain" in path.read_text() and path.stat().st_size < 200_000
    assert refused(capsys, "relu", "-o", tmp_path) == f"--output: was {tmp_path}, must be a file that can be " \
                                                      "written: Is a directory"


def test_the_names_are_listed(capsys):
    _, out, _ = said(capsys, "step", "--list")
    assert {"layer_norm", "transformer", "normalization: LayerNorm"} <= set(out.splitlines())


def test_what_is_refused_of_a_case(capsys):
    assert refused(capsys).startswith("CASE is missing: --list shows")
    assert "no case 'layer_morm'; did you mean" in refused(capsys, "layer_morm")
    assert refused(capsys, "relu", "--backward", "f") == "--backward: goes with FILE.py:FUNCTION, but CASE was 'relu'"
    assert refused(capsys, "relu", "--inputs", "f").startswith("--inputs: goes with")


# What is refused of a file

@pytest.mark.parametrize("source, name, message", [
    ("def f(:", "f", r"my_layer.py cannot be read, line 1: SyntaxError: invalid syntax"),
    ("import nothing_of_this_name", "f", r"cannot be imported: my_layer.py:1: ModuleNotFoundError: No module"),
    ("import sys; sys.exit(3)", "f", r"cannot be imported: my_layer.py:1: SystemExit: 3"),
    ("def soften(x): return x", "softne", r"CASE: my_layer.py has no function softne; did you mean soften\?"),
    ("a = 1", "f", r"CASE: my_layer.py has no function f; it has none at all"),
    ("def f(x): return x\ndef g(x): return x", "", r"must name a function, .*my_layer.py:FUNCTION; it has f, g"),
    ("def f(x, gamma): return x", "f",
     r"define example_inputs\(\) in my_layer.py, which returns \{'x': \.\.\., 'gamma': \.\.\.\}"),
    ("def f(x): return x\ndef example_inputs(): return 1 / 0", "f",
     r"example_inputs\(\): my_layer.py:2: ZeroDivisionError: division by zero"),
    ("def f(x): return x\ndef example_inputs(): return 3", "f", r"example_inputs\(\): was int, must be a dict"),
    ("def f(x): return x\ndef example_inputs(): return 3, 4", "f", r"2 values, but the function takes 1: x"),
    ("def f(x): return x\ndef example_inputs(): return {'z': 3}", "f",
     r"example_inputs\(\): missing a required argument: 'x'; f\(x\) was given z"),
    ("f = lambda x: x\ndef example_inputs(): return (1,)", "f", "nothing was recorded of <lambda>: it must be"),
    ("f = len\ndef example_inputs(): return (1,)", "f", r"must be a function written in Python"),
    ("import numpy as np\ndef f(x): return x\ndef example_inputs(): return (np.ones((400, 400)),)", "f",
     r"160000 numbers, must be at most 100000"),
])
def test_what_is_refused_of_a_file(source, name, message, own_file):
    with pytest.raises(UserError, match=message):
        own_trace(own_file(source), name)


def test_what_else_is_refused_on_the_command_line(own_file, tmp_path, capsys):
    path = own_file(OWN)
    case, npz = f"{path}:my_norm", tmp_path / "inputs.npz"
    assert refused(capsys, "nothing.py:f") == "CASE: there is no file nothing.py"
    assert refused(capsys, case, "--backward", "nope").startswith("--backward: my_layer.py has no function nope")
    assert refused(capsys, case, "--form", "lean").startswith("--form: was lean, must be left out")
    assert refused(capsys, case, "--inputs", npz) == f"--inputs: there is no file {npz}"
    assert refused(capsys, case, "--inputs", path).startswith(f"--inputs: {path} must be an .npz file of numbers")
    np.savez(npz, x=np.ones(3), z=np.ones(3))
    message = refused(capsys, case, "--inputs", npz)
    assert message.startswith(f"--inputs: {npz}: ") and "my_norm(x, gamma, eps) was given x, z" in message
    np.savez(npz, x=np.array([{}], dtype=object))
    assert "must be an .npz file of numbers" in refused(capsys, case, "--inputs", npz)


# From a notebook

def test_step_of_a_case_and_of_functions():
    def halve(x):
        y = x / 2
        return y, ()

    def halve_backward(d_y, cache):
        d_x = d_y / 2
        return d_x

    own = step(halve, (np.arange(3.0),), halve_backward)
    assert value_named(own.trace, "d_x").error == 0
    assert repr(own) == ("<halve: 8 steps; 1 of 4 arrays were compared with the derivative by complex step: "
                         "all within their bounds>")
    assert str(step("relu")).startswith("relu, plain: ")
    with pytest.raises(UserError, match="what: was int, must be the name of a case or a function"):
        step(3)
    with pytest.raises(UserError, match="define example_inputs"):
        step(halve)


def test_a_function_of_a_notebook_cell():
    """A cell's file exists only in linecache, and its functions share the namespace of the notebook."""
    import linecache
    source = textwrap.dedent(OWN)
    linecache.cache["<cell 1>"] = len(source), None, source.splitlines(keepends=True), "<cell 1>"
    names = {"__name__": "__main__"}
    exec(compile(source, "<cell 1>", "exec"), names)
    trace = step(names["my_norm"]).trace
    assert value_named(trace, "d_x").error <= 128 and trace.functions[0].source[0] == "def my_norm(x, gamma, eps):"


def test_a_notebook_shows_the_page_in_a_frame(tmp_path):
    stepped = step("relu")
    shown = stepped._repr_html_()
    frame = r'<iframe srcdoc="(.*?)" title="relu, plain" style="[^"]*"></iframe>'
    escaped = re.fullmatch(frame, shown, re.DOTALL)[1]
    assert '"' not in escaped
    page = html.unescape(escaped)
    assert stepped.save(tmp_path / "relu.html").read_text() == page
    assert isinstance(stepped, Stepped) and "<!doctype html>" in page.lower()
