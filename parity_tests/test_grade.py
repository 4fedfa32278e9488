"""`grade`: what it accepts, what it says about code that does not run, and how the verdict looks."""

import contextlib
import linecache
import os
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from numpy_impl.layers import attention, linear
from numpy_impl.module import Module, Parameter
from parity_tests.__main__ import main
from parity_tests.harness.doctor import isolation, worker
from parity_tests.harness.doctor.grade import grade
from parity_tests.harness.doctor.subjects import all_subjects, subject_of
from parity_tests.harness.errors import UserError
from parity_tests.harness.pages.heatmap import heatmap_html, heatmaps_html
from parity_tests.harness.small import strict_json

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
SOFTMAX = """
    def softmax_backward(d_y, cache):
        _, _, _, y, axis = cache
        return y * (d_y - (d_y * y).sum(axis=axis, keepdims=True))
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a learner's file and returns its path."""
    def write_file(source, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path
    return write_file


def defined(source, name):
    """A function as a notebook's cell defines it."""
    source = textwrap.dedent(source)
    filename = f"<cell {abs(hash(source))}>"
    linecache.cache[filename] = len(source), None, source.splitlines(keepends=True), filename
    namespace = {"np": np, "os": os}
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]


def told(source, name="softmax", **options):
    """The whole text of the verdict on a function `backward` of this source."""
    verdict = grade(name, backward=defined(source, "backward"), **{"time_limit": 20, **options})
    assert not verdict.passed and verdict.diagnosis
    return str(verdict)


# What is right, however it is written

def test_a_right_file_passes(write):
    verdict = grade("softmax", write(SOFTMAX))
    assert verdict.passed and not verdict.diagnosis and verdict.first_wrong is None
    assert {row.dtype for row in verdict.counted} == {"float32", "float64"}


def test_other_names_other_formulas_and_a_cache_of_their_own_pass(write):
    assert grade("layer_norm", write("""
        import numpy as np

        def layer_norm(x, gamma, beta, eps):
            mu, var = np.mean(x, -1, keepdims=True), np.var(x, -1, keepdims=True)
            return (x - mu) / np.sqrt(var + eps) * gamma + beta, {"x": x, "mu": mu, "rstd": 1 / np.sqrt(var + eps), "g":
            gamma}

        def layer_norm_backward(dout, cache):
            n = (cache["x"] - cache["mu"]) * cache["rstd"]
            dn = dout * cache["g"]
            size = dn.shape[-1]
            jacobian = (np.eye(size, dtype=dn.dtype) - 1 / size - n[..., :, None] * n[..., None, :] / size)
            dx = np.einsum("...i,...ij->...j", dn, jacobian) * cache["rstd"]
            return {"dx": dx, "dgamma": (dout * n).reshape(-1, size).sum(0), "dbeta": dout.reshape(-1, size).sum(0)}
        """)).passed


def test_the_only_function_may_have_any_name(write):
    assert grade("softmax", write(SOFTMAX.replace("softmax_backward", "mine"))).passed


def test_a_function_is_chosen_by_name(write):
    path = write(SOFTMAX.replace("softmax_backward", "mine") + "\n    def other(a, b):\n        return a\n")
    assert "the file has mine, other" in str(grade("softmax", path))
    assert grade("softmax", path, function="mine").passed


def test_gradients_of_what_needs_none_may_be_returned_too():
    assert grade("batch_norm", backward=defined("""
        def backward(d_y, cache):
            std, x_hat, gamma = cache
            rows = tuple(range(d_y.ndim - 1))
            return d_y * gamma / std, (d_y * x_hat).sum(rows), d_y.sum(rows), None, None
        """, "backward")).passed


@pytest.mark.parametrize("name", ["gelu_tanh", "scaled_dot_product_attention", "cross_entropy", "rotate_pairs"])
def test_our_own_backward_pass_passes(name):
    subject = subject_of(name)
    assert grade(name, backward=subject.backward).passed


# Modules

class ScratchLinear:
    """Nothing of ours: arrays as parameters, their gradients beside them."""

    def __init__(self, d_in, d_out, bias=True):
        self.weight, self.d_weight = np.zeros((d_out, d_in)), 0
        self.bias, self.d_bias = (np.zeros(d_out), 0) if bias else (None, None)

    def forward(self, x):
        self.x = x
        return x @ self.weight.T + (0 if self.bias is None else self.bias)

    def backward(self, d_y):
        rows = d_y.reshape(-1, d_y.shape[-1])
        self.d_weight += rows.T @ self.x.reshape(-1, self.x.shape[-1])
        if self.bias is not None:
            self.d_bias += rows.sum(axis=0)
        return d_y @ self.weight


class OverwritingLinear(linear.Linear):
    def backward(self, d_y):
        d_x, self.weight.grad[...], d_bias = linear.linear_backward(d_y, self.saved(d_y))
        if self.bias is not None:
            self.bias.grad += d_bias
        return d_x


class SelfAttention(attention.MultiHeadAttention):
    def forward(self, x, mask=None, return_weights=False):
        return super().forward(x, x, x, mask, return_weights)

    def backward(self, d_output):
        d_query, d_key, d_value = super().backward(d_output)
        return d_query + d_value


class Shifted(Module):
    """Learned positions, whose table gets the gradient of the first sequence alone."""

    def __init__(self, d_model, max_length, *, rng=None, dtype="float32"):
        super().__init__()
        self.weight = Parameter(np.zeros((max_length, d_model), dtype))

    def forward(self, x):
        self.save_for_backward((), x)
        return x + self.weight.data[:x.shape[1]]

    def backward(self, d_y):
        self.saved(d_y)
        self.weight.grad[:d_y.shape[1]] += d_y[0]
        return d_y


@needs_fork
def test_a_class_written_from_scratch_passes():
    assert grade("Linear", module=ScratchLinear).passed


def test_a_class_in_a_file_passes(write):
    assert grade("GatedFeedForward", write("""
        from numpy_impl.layers import feed_forward

        class GatedFeedForward(feed_forward.GatedFeedForward):
            def backward(self, d_y):
                a, b = self.saved(d_y)
                d = self.dropout.backward(self.down.backward(d_y))
                return self.gate.backward(self.activation.backward(d * b)) + self.up.backward(d * a)
        """)).passed


@needs_fork
def test_a_gradient_that_is_not_added_to_is_told():
    verdict = grade("Linear", module=OverwritingLinear)
    assert not verdict.passed and "The gradient of weight is overwritten by a second backward pass" in str(verdict)


@needs_fork
def test_a_path_that_is_missing_in_a_module_is_told():
    verdict = grade("SelfAttention", module=SelfAttention)
    assert verdict.diagnosis[0].kind == "catalogue" and "keys" in str(verdict.diagnosis[0])
    assert verdict.first_wrong.name == "d_x"


@needs_fork
def test_a_parameter_of_a_module_is_told():
    verdict = grade("LearnedPositionalEncoding", module=Shifted)
    assert "wrong: d_weight" in str(verdict) and verdict.diagnosis


# Code that does not run, or returns something else

@needs_fork
@pytest.mark.parametrize("source, texts", [
    ("def backward(d_y, cache):\n    raise NotImplementedError('later')", ["not written yet", "softmax_backward(d_y, "
                                                                                              "cache)"]),
    ("def backward(d_y, cache):\n    pass", ["Returned None, must return d_x", "return statement"]),
    ("def backward(d_y):\n    return d_y", ["must take (d_y, cache)"]),
    ("def backward(d_y, cache):\n    y = cache[3]\n    return y @ d_y", ["line 3", "return y @ d_y", "d_y float64 (2, "
                                                                                                     "3, 5)"]),
    ("def backward(d_y, cache):\n    a, b = cache\n    return a", ["too many values", "exponentials, total, divisor, "
                                                                                      "y, axis"]),
    ("def backward(d_y, cache):\n    raise SystemExit", ["ends the program"]),
    ("def backward(d_y, cache):\n    os._exit(0)", ["ended by itself with status 0"]),
    ("def backward(d_y, cache):\n    os.kill(os.getpid(), 9)", ["killed by SIGKILL"]),
    ("def backward(d_y, cache):\n    return backward(d_y, cache)", ["calls itself without end", "line 2"]),
    ("def backward(d_y, cache):\n    return d_y, d_y", ["Returned 2 gradients, must return 1: d_x"]),
    ("def backward(d_y, cache):\n    return 'd_x'", ["d_x is str 'd_x', must be an array"]),
    ("def backward(d_y, cache):\n    return d_y.sum(axis=-1)", ["has the shape (2, 3), must have (2, 3, 5)"]),
    ("def backward(d_y, cache):\n    s = d_y * np.nan\n    return s", ["NaN at 30 of 30", "first local that has one "
                                                                                          "is s, line 2"]),
    ("def backward(d_y, cache):\n    d_y *= cache[3]\n    d_y -= cache[3] * d_y.sum(cache[4], keepdims=True)\n    "
     "return d_y",
     ["changes d_y in place", "in line 2"]),
    ("CALLS = []\ndef backward(d_y, cache):\n    CALLS.append(1)\n    y = cache[3]\n    return y * (d_y - (d_y * "
     "y).sum(cache[4], keepdims=True)) + len(CALLS)", ["kept from call to call"]),
    ("def backward(d_y, cache):\n    y = cache[3]\n    s = (d_y * y).sum(cache[4], keepdims=True) * np.float64(1)\n   "
     " return y * (d_y - s)", ["is float64, must be float32", "begins with s in line 3"]),
])
def test_the_trouble_is_told(source, texts):
    text = told(source)
    for part in texts:
        assert part in text


@pytest.mark.parametrize("source, texts", [
    ("def backward(d_y, cache):\n    yield d_y", ["a function with `yield`", "<generator object backward>"]),
    ("def backward(d_y, cache):\n    return d_y.astype(object)", ["array of dtype object, must be an array of"]),
    ("def backward(d_y, cache):\n    return 3.0", ["float 3.0", "made one number of it"]),
    ("class Odd(Exception):\n    def __str__(self):\n        return 3\n"
     "def backward(d_y, cache):\n    raise Odd()", ["Odd: its __str__ fails too", "line 5"]),
])
def test_strange_results_are_told(source, texts):
    text = told(source)
    for part in texts:
        assert part in text


@pytest.mark.parametrize("filling", ["np.add.at(d_weight, ids, d_y)", "d_weight[ids] += d_y"])
def test_a_local_that_is_filled_later_is_not_suspected(filling):
    verdict = grade("embedding", backward=defined(f"""
        def backward(d_y, cache):
            ids, shape, padding, scale = cache
            d_weight = np.zeros(shape, d_y.dtype)
            {filling}
            return d_weight
        """, "backward"))
    assert not verdict.first_wrong.problem.startswith("is all zero")
    assert "np.zeros" not in verdict.first_wrong.source


def test_a_step_towards_a_right_result_is_not_suspected(write):
    """`y` without the bias is not our y, but what is returned is."""
    verdict = grade("Linear", write("""
        import numpy as np

        class Linear:
            def __init__(self, d_in, d_out, bias=True):
                self.weight, self.bias = np.zeros((d_out, d_in)), np.zeros(d_out) if bias else None

            def forward(self, x):
                self.x = x
                y = x @ self.weight.T
                return y if self.bias is None else y + self.bias

            def backward(self, d_y):
                rows = d_y.reshape(-1, d_y.shape[-1])
                self.d_weight, self.d_bias = 2 * rows.T @ self.x.reshape(len(rows), -1), rows.sum(0)
                return d_y @ self.weight
        """))
    assert verdict.first_wrong.name == "d_weight"


def test_a_wrong_output_comes_before_a_nan_in_one_case():
    verdict = grade("softmax", forward=defined("""
        def forward(x, axis=-1):
            with np.errstate(all="ignore"):
                e = np.exp(x - x.max())
            with np.errstate(all="ignore"):
                y = e / e.sum(0, keepdims=True)
            return y, (y, axis)
        """, "forward"), backward=defined("""
        def backward(d_y, cache):
            y, axis = cache
            return y * (d_y - (d_y * y).sum(axis, keepdims=True))
        """, "backward"))
    assert "the axis in" in str(verdict.diagnosis[0])


@needs_fork
def test_an_endless_loop_is_ended_and_its_line_told():
    begun = time.monotonic()
    text = told("def backward(d_y, cache):\n    n = 0\n    while True:\n        n += 1", time_limit=0.5)
    assert "still running after 0.5 seconds" in text and ("line 3" in text or "line 4" in text)
    assert time.monotonic() - begun < 20


@needs_fork
def test_a_loop_that_ignores_signals_is_killed(monkeypatch):
    monkeypatch.setattr(isolation, "GRACE", 0.2)
    assert "still running" in told("""
        import signal
        def backward(d_y, cache):
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            while True:
                pass
        """, time_limit=0.5)


@needs_fork
def test_too_much_memory_is_told():
    gigabytes = worker.MEMORY // 2**30
    text = told(f"def backward(d_y, cache):\n    x = np.empty(({gigabytes + 2} << 30,), np.int8)\n    return d_y")
    assert "ran out of memory" in text and "line 2" in text


@needs_fork
def test_a_flood_of_output_is_shortened():
    verdict = grade("softmax", backward=defined("""
        def backward(d_y, cache):
            for i in range(200):
                print(i, "-" * 1000)
            print("the end")
        """, "backward"))
    assert verdict.printed.startswith("0 ---") and "the end" in verdict.printed and "left out" in verdict.printed
    assert len(verdict.printed) < 3 * isolation.KEPT


@pytest.mark.parametrize("source, texts", [
    ("def softmax_backward(d_y, cache)\n    return 1", ["not valid Python", "line 1"]),
    ("import no_such_library", ["No module named 'no_such_library'", "line 1"]),
    ("x = 1", ["There is no function softmax_backward(d_y, cache); the file has none"]),
    ("import ctypes\ndef softmax_backward(d_y, cache):\n    ctypes.string_at(0)", ["killed by SIG", "line 3"]),
])
def test_trouble_with_a_file_is_told(write, source, texts):
    verdict = grade("softmax", write(source))
    assert not verdict.passed
    for text in texts:
        assert text in str(verdict)


@needs_fork
def test_processes_that_it_started_are_killed_too(write, tmp_path):
    path = write(f"""
        import os, time
        def softmax_backward(d_y, cache):
            if os.fork() == 0:
                time.sleep(1.5)
                open({str(tmp_path / "survived")!r}, "w").close()
                os._exit(0)
            while True:
                pass
        """)
    assert "still running" in str(grade("softmax", path, time_limit=0.5))
    time.sleep(1.5)
    assert not (tmp_path / "survived").exists()


def test_where_there_is_no_fork_it_runs_here_and_says_so(monkeypatch):
    monkeypatch.delattr(os, "fork", raising=False)
    verdict = grade("relu", backward=lambda d_y, cache: d_y * (cache[0] > 0))
    assert verdict.passed and "without a time limit" in verdict.notes[0]


# The verdict

@pytest.fixture(scope="module")
def wrong_verdict():
    return grade("relu", backward=defined("def backward(d_y, cache):\n    d_x = d_y * (cache[0] < 0)\n    return "
                                          "d_x", "backward"))


def test_text(wrong_verdict):
    text = str(wrong_verdict)
    assert text.startswith("relu: not right yet. 4 of 4 arrays are wrong.\n  wrong: d_x\n")
    assert "First wrong tensor: d_x, line 2 of" in text and "d_x = d_y * (cache[0] < 0)" in text
    assert "*" in text.partition("yours")[2] and "expected" in text
    assert "\nDiagnosis\n  1. " in text
    assert len(text.splitlines()) < 30


def test_html_stands_by_itself(wrong_verdict):
    html = wrong_verdict._repr_html_()
    assert all(title in html for title in ("yours", "expected", "yours - expected", "<table", "differs"))
    assert "http" not in html and "<script" not in html
    assert html.count("<div") == html.count("</div>") and html.count("<td") == html.count("</td>")


@pytest.mark.parametrize("array", [
    np.array([[1.0, np.nan], [np.inf, -np.inf]]), np.zeros((2, 3)), np.array(3.5), np.array([True, False]),
    np.arange(5), np.ones((2, 2, 3, 40)), np.zeros((0, 3)),
], ids=lambda array: f"{array.dtype}{array.shape}")
def test_any_array_has_a_heatmap(array):
    html = heatmap_html(array, title="x < 1") + heatmaps_html(array, array)
    assert "x &lt; 1" in html and "differs" not in html
    assert html.count("<td") == html.count("</td>") and html.count("<div") == html.count("</div>")


def test_a_heatmap_shows_the_plane_that_differs():
    reference = np.zeros((3, 2, 4, 5))
    array = reference.copy()
    array[1, 1, 2, 3] = np.nan
    html = heatmap_html(array, reference)
    assert html.count("<table") == 1 and "[1, 1]" in html and "1 of 120 entries differ" in html
    assert 'title="[1, 1, 2, 3] = nan, differs">NaN</td>' in html


def test_json(wrong_verdict):
    data = strict_json(wrong_verdict.to_json())
    assert data["passed"] is False and data["first_wrong"]["name"] == "d_x" and data["first_wrong"]["line"] == 2
    assert np.array(data["first_wrong"]["actual"]).shape == (2, 3, 5) and data["diagnosis"][0]["text"]


def test_the_answer_is_told_only_when_asked_for(write, capsys):
    path = str(write("def relu_backward(d_y, cache):\n    x, = cache\n    return d_y * (x < 0)\n"))
    assert main(["grade", "relu", path]) == 1
    assert "x > 0" not in capsys.readouterr().out
    assert main(["grade", "relu", path, "--answer"]) == 1
    assert "Answer: line 3: return d_y * (x > 0)" in capsys.readouterr().out


# The command line, and mistakes in the call

def test_status_of_the_command(write, capsys):
    assert main(["grade", "softmax", str(write(SOFTMAX))]) == 0
    assert capsys.readouterr().out.startswith("softmax: passed.")
    assert main(["grade", "softmaxx", "x.py"]) == 2
    assert main(["grade", "softmax", "no_such_file.py"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and "softmax, " in errors[0] and "no_such_file.py" in errors[1]


@pytest.mark.parametrize("arguments, text", [
    ({"name": "layernorm"}, "LayerNorm"),
    ({"name": "attention"}, "scaled_dot_product_attention"),
    ({"name": "softmax"}, "neither a file nor a function"),
    ({"name": "softmax", "module": dict}, "backward: was not given"),
    ({"name": "LayerNorm", "backward": len}, "module: was not given"),
    ({"name": "softmax", "backward": 3}, "backward: was int"),
    ({"name": "softmax", "backward": len, "time_limit": 0}, "time_limit: was 0"),
    ({"name": "softmax", "file": "notes.txt"}, "must be a Python file"),
])
def test_mistakes_in_the_call(arguments, text):
    with pytest.raises(UserError, match=text.replace("(", r"\(")):
        grade(**arguments)


def test_everything_with_a_backward_pass_can_be_graded():
    names = all_subjects()
    assert {"layer_norm", "scaled_dot_product_attention", "embedding", "LayerNorm", "Transformer"} <= names.keys()
    assert not [name for name in names if name.endswith(("_lean", "_backward"))]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows other processes' environment")
def test_what_it_started_in_a_session_of_its_own_is_killed_too(write, tmp_path):
    path = write(f"""
        import subprocess, sys
        code = "import time; time.sleep(60)    # {tmp_path}"
        def softmax_backward(d_y, cache):
            subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
            return d_y
        """)
    assert not grade("softmax", path).passed
    ends = time.monotonic() + 10    # what has been killed may take a moment to be gone
    while alive(str(tmp_path)) and time.monotonic() < ends:
        time.sleep(0.05)
    assert alive(str(tmp_path)) == []


def alive(text):
    """The processes whose command line holds this text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):    # it has ended in the meantime
            if text.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found
