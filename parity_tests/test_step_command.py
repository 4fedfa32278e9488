"""python -m parity_tests step: cases, somebody's own functions, and `step(...)` from a notebook."""

import html
import re
import sys
import textwrap

import numpy as np
import pytest

from parity_tests import __main__ as lab
from parity_tests import step
from parity_tests.harness.errors import UserError
from parity_tests.harness.stepper import command, derivatives, user_function
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


@pytest.fixture
def file(tmp_path):
    """Write a learner's file; returns a function of its source, which returns its path."""
    def write(source, name="my_layer.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        return path
    return write


@pytest.fixture(autouse=True)
def same_modules(monkeypatch):
    """What a test imports from a learner's file is forgotten after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in [name for name in sys.modules.keys() - before if name.startswith("learner_")]:
        del sys.modules[name]


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


# Somebody's own function

def test_an_own_function_with_its_helper_and_its_backward_pass(file):
    trace = own_trace(file(OWN))
    assert [function.name for function in trace.functions] == ["my_norm", "mean_of", "my_norm_backward"]
    assert trace.functions[0].file == "my_layer.py"
    assert (trace.reference, trace.first_wrong, trace.stopped) == ("the derivative by complex step", None, None)
    x, d_x = value_named(trace, "x"), value_named(trace, "d_x")
    assert trace.values[x.gradient] is d_x and d_x.error <= 128 <= d_x.bound
    d_gamma = trace.values[value_named(trace, "gamma").gradient]
    assert d_gamma.name == "return[1]" and d_gamma.error <= 128
    d_y = value_named(trace, "d_y")
    assert trace.values[value_named(trace, "return").gradient] is d_y
    assert len(set(trace.arrays[d_y.array].ravel())) == 24, "a gradient of ones would hide mistakes"


def test_a_file_that_has_changed_is_read_anew(file):
    source = textwrap.dedent(OWN)
    first, second = own_trace(file(source)), own_trace(file(source.replace("rms = ", "\n\n    rms = ")))
    for trace in (first, second):
        time = value_named(trace, "rms").time
        function = trace.functions[0]
        assert "rms = " in function.source[trace.steps[time][2] - function.first_line]


def test_the_gradient_of_a_single_number_is_1(file):
    trace = own_trace(file("""
        import numpy as np
        def example_inputs():
            return {"x": np.arange(3.0)}
        def loss(x):
            total = (x * x).sum()
            return total, (x,)
        def loss_backward(d_total, cache):
            x, = cache
            d_x = 2 * x * d_total
            return d_x
    """), "loss")
    assert trace.arrays[value_named(trace, "d_total").array] == 1 and value_named(trace, "d_x").error <= 128


def test_a_wrong_backward_pass_of_another_name(file, capsys):
    path = file(OWN)
    trace = own_trace(path, backward="other")
    assert trace.values[trace.first_wrong] is value_named(trace, "d_x")
    assert value_named(trace, "d_x").problem == "differs from the derivative by complex step"
    for name in ("x", "x_hat"):
        assert trace.values[value_named(trace, f"d_{name}").of] is value_named(trace, name)
    status, out, _ = said(capsys, "step", f"{path}:my_norm", "--backward", "other")
    assert status == 1 and "by complex step: 1 are wrong, the first of them d_x at step" in out


def test_inputs_from_an_npz_file(file, tmp_path):
    path, inputs = file(OWN), tmp_path / "inputs.npz"
    np.savez(inputs, x=np.arange(6.0).reshape(2, 1, 3), gamma=np.ones(3), eps=0.25)
    trace = own_trace(path, inputs=inputs)
    np.testing.assert_array_equal(trace.arrays[value_named(trace, "x").array].ravel(), range(6))
    assert trace.calls[0].notes["eps"] == [(0, "0.25")]


def test_a_forward_pass_alone_and_inputs_as_a_tuple(file):
    trace = own_trace(file("""
        import numpy as np
        def example_inputs():
            return np.ones((2, 3)), 3
        def f(x, k):
            y = x * k
            return y
    """), "")
    assert [value.name for value in trace.values] == ["x", "y"] and trace.calls[0].notes == {"k": [(0, "3")]}


def test_a_class(file):
    source = """
        import numpy as np
        def example_inputs():
            return {"x": np.random.default_rng(0).standard_normal((2, 3))}
        class Scale:
            def __init__(self, factor):
                self.factor = factor
            def forward(self, x):
                self.x = x
                y = x * x * self.factor
                return y
            def backward(self, d_y):
                d_x = 2 * d_y * self.x * self.factor
                return d_x
    """
    path = file(source)
    with pytest.raises(UserError, match=r"Scale\(\) makes no Scale: TypeError.*'factor'; define example_module\(\)"):
        own_trace(path, "Scale")
    path = file(source + "    def example_module():\n            return Scale(3)\n", "with_example.py")
    for name in ("Scale", "Scale.forward"):
        trace = own_trace(path, name)
        assert [function.name for function in trace.functions] == ["Scale.forward", "Scale.backward"]
        assert value_named(trace, "d_x").error <= 128 and trace.reference == "the derivative by complex step"
    with pytest.raises(UserError, match="the class Scale has no method nothing"):
        own_trace(path, "Scale.nothing")


def test_decorated_functions_and_kinks(file):
    trace = own_trace(file("""
        import functools
        import numpy as np
        def example_inputs():
            return {"x": np.array([-1.0, 2.0, 3.0])}
        def logged(function):
            @functools.wraps(function)
            def inner(*arguments, **named):
                print("called")
                return function(*arguments, **named)
            return inner
        @logged
        def size(x):
            y = np.abs(x)
            return y, (x,)
        @logged
        def size_backward(d_y, cache):
            x, = cache
            d_x = d_y * np.sign(x)
            return d_x
    """), "size")
    assert trace.reference == "the derivative by central differences"
    assert value_named(trace, "d_x").difference < 1e-9
    assert value_named(trace, "d_x").bound == 1e-6 / np.finfo("float64").eps


@pytest.mark.parametrize("body, remark", [
    ("y = x * 2", None),
    ("y = x * np.random.default_rng().random()", "two calls of the function give different results"),
    ("import time; time.sleep(0.05); y = x * 2", "measuring them would take 0 seconds: make the inputs smaller"),
    ("y = {1: x * 2}[x[0]]", ".*"),
    ("y = x[0] * 2 * x[[1]]", "backward must return an array for each floating array among the inputs")])
def test_gradients_are_judged_only_where_that_makes_sense(body, remark, file, monkeypatch):
    monkeypatch.setattr(derivatives, "SECONDS", 0.2)
    trace = own_trace(file(f"""
        import numpy as np
        def example_inputs():
            return {{"x": np.ones(3)}}
        def f(x):
            {body}
            return y, None
        def f_backward(d_y, cache):
            d_x = 2 * d_y
            return d_x if len(d_x) == 3 else None
    """), "f")
    assert trace.stopped is None
    assert (value_named(trace, "d_x").error is None) == (remark is not None)
    if remark:
        assert re.fullmatch(f"the gradients are not judged: {remark}", trace.remark)


def test_a_backward_pass_that_takes_the_inputs(file):
    source = """
        import numpy as np
        def example_inputs():
            return {"x": np.arange(6.0).reshape(2, 3) - 2, "weight": np.ones(3)}
        def f(x, weight):
            y = np.maximum(x, 0) * weight
            return y
        def f_backward(d_y, x, weight):
            d_x = d_y * (x > 0) * weight
            d_weight = (d_y * np.maximum(x, 0)).sum(axis=0)
            return d_x, d_weight
    """
    trace = own_trace(file(source), "f")
    assert value_named(trace, "d_x").problem is None and value_named(trace, "d_weight").error < 128
    assert trace.values[value_named(trace, "y").gradient] is value_named(trace, "d_y")
    trace = own_trace(file(source.replace("(axis=0)", "(axis=0, keepdims=True)"), "other.py"), "f")
    assert value_named(trace, "d_weight").problem == "shape is [1, 3], must be [3]"


def test_what_a_function_raises_ends_its_trace(file, capsys):
    path = file("""
        import numpy as np
        def example_inputs():
            return {"x": np.ones((2, 3))}
        def f(x):
            y = x + 1
            z = y.reshape(4)
            return z
        def g(x):
            return x * 2
        def g_backward(d_y, cache, more):
            return d_y
        def stop(x):
            y = x + 1
            raise SystemExit("enough")
    """)
    for name, message in (("f", "my_layer.py:7: ValueError: cannot reshape array of size 6 into shape (4,)"),
                          ("g", "TypeError: g must return (y, cache), since g_backward takes 3 arguments; "
                                "it returned ndarray"),
                          ("stop", "my_layer.py:15: SystemExit: enough")):
        status, out, err = said(capsys, "step", f"{path}:{name}")
        assert (status, err) == (1, "") and out.endswith(f"\nstopped: {message}\n")
        assert "x  float64 (2, 3)" in out


def test_an_argument_that_is_changed_in_place_is_wrong(file):
    trace = own_trace(file("""
        import numpy as np
        def example_inputs():
            return {"x": np.ones(2)}
        def f(x):
            x *= 2
            y = x * x
            return y, (x,)
        def f_backward(d_y, cache):
            x, = cache
            d_x = 4 * d_y * x
            return d_x
    """), "f")
    assert trace.values[trace.first_wrong] is value_named(trace, "x")
    assert value_named(trace, "x").problem == "the call changed this argument"
    assert value_named(trace, "d_x").error <= 128


def test_a_long_loop_is_cut_off(file):
    trace = own_trace(file("""
        import numpy as np
        def example_inputs():
            return {"x": np.ones(2)}
        def f(x):
            for number in range(30_000):
                x = x + 1
            return x
    """), "f")
    assert trace.stopped == "only the first 20000 steps were recorded" and len(trace.steps) == 20000


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
def test_what_is_refused_of_a_file(source, name, message, file):
    with pytest.raises(UserError, match=message):
        own_trace(file(source), name)


def test_what_else_is_refused_on_the_command_line(file, tmp_path, capsys):
    path = file(OWN)
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


def test_under_a_debugger_nothing_can_be_shown(file):
    previous = sys.gettrace()
    sys.settrace(lambda frame, event, argument: None)
    try:
        for start in (lambda: step("relu"), lambda: own_trace(file(OWN))):
            with pytest.warns(UserWarning, match="a debugger is at work"), pytest.raises(UserError, match="debugger"):
                start()
    finally:
        sys.settrace(previous)


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
