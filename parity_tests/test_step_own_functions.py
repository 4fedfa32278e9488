"""Stepping through somebody's own functions and classes: what is shown, and what derivatives say of it."""

import re
import sys
import textwrap

import numpy as np
import pytest

from parity_tests import step
from parity_tests.harness.errors import UserError
from parity_tests.harness.stepper import derivatives, user_function
from parity_tests.test_step_command import OWN, own_trace, refused, said, value_named


def test_an_own_function_with_its_helper_and_its_backward_pass(own_file):
    trace = own_trace(own_file(OWN))
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


def test_a_file_that_has_changed_is_read_anew(own_file):
    source = textwrap.dedent(OWN)
    first, second = own_trace(own_file(source)), own_trace(own_file(source.replace("rms = ", "\n\n    rms = ")))
    for trace in (first, second):
        time = value_named(trace, "rms").time
        function = trace.functions[0]
        assert "rms = " in function.source[trace.steps[time][2] - function.first_line]


def test_the_gradient_of_a_single_number_is_1(own_file):
    trace = own_trace(own_file("""
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


def test_a_wrong_backward_pass_of_another_name(own_file, capsys):
    path = own_file(OWN)
    trace = own_trace(path, backward="other")
    assert trace.values[trace.first_wrong] is value_named(trace, "d_x")
    assert value_named(trace, "d_x").problem == "differs from the derivative by complex step"
    for name in ("x", "x_hat"):
        assert trace.values[value_named(trace, f"d_{name}").of] is value_named(trace, name)
    status, out, _ = said(capsys, "step", f"{path}:my_norm", "--backward", "other")
    assert status == 1 and "by complex step: 1 is wrong: d_x at step" in out


def test_inputs_from_an_npz_file(own_file, tmp_path):
    path, inputs = own_file(OWN), tmp_path / "inputs.npz"
    np.savez(inputs, x=np.arange(6.0).reshape(2, 1, 3), gamma=np.ones(3), eps=0.25)
    trace = own_trace(path, inputs=inputs)
    np.testing.assert_array_equal(trace.arrays[value_named(trace, "x").array].ravel(), range(6))
    assert trace.calls[0].notes["eps"] == [(0, "0.25")]


def test_a_forward_pass_alone_and_inputs_as_a_tuple(own_file):
    trace = own_trace(own_file("""
        import numpy as np
        def example_inputs():
            return np.ones((2, 3)), 3
        def f(x, k):
            y = x * k
            return y
    """), "")
    assert [value.name for value in trace.values] == ["x", "y"] and trace.calls[0].notes == {"k": [(0, "3")]}


def test_a_class(own_file):
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
    path = own_file(source)
    with pytest.raises(UserError, match=r"Scale\(\) makes no Scale: TypeError.*'factor'; define example_module\(\)"):
        own_trace(path, "Scale")
    path = own_file(source + "    def example_module():\n            return Scale(3)\n", "with_example.py")
    for name in ("Scale", "Scale.forward"):
        trace = own_trace(path, name)
        assert [function.name for function in trace.functions] == ["Scale.forward", "Scale.backward"]
        assert trace.title == "Scale.forward"
        assert value_named(trace, "d_x").error <= 128 and trace.reference == "the derivative by complex step"
    with pytest.raises(UserError, match="the class Scale has no method nothing"):
        own_trace(path, "Scale.nothing")


PARAMETERS = """
    import numpy as np
    def example_inputs():
        return {"x": np.random.default_rng(0).standard_normal((4, 3))}
    class Parameter:
        def __init__(self, data):
            self.data, self.grad = data, np.zeros_like(data)
    class Affine:
        def __init__(self):
            self.weight = Parameter(np.random.default_rng(1).standard_normal((3, 2)))
            self.bias = np.ones(2)
        def forward(self, x):
            self.x = x
            self.y = np.tanh(x @ self.weight.data
                             + self.bias)    # eq: none
            return self.y
        def backward(self, d_y):
            d_z = d_y * (1 - self.y ** 2)
            self.weight.grad += self.x.T @ d_z
            self.d_bias = d_z.sum(axis=0)
            d_x = d_z @ self.weight.data.T
            return d_x
"""


def test_the_parameters_of_a_class(own_file):
    judged = {"d_x", "self.weight.grad", "self.d_bias"}
    trace = own_trace(own_file(PARAMETERS), "Affine")
    assert {value.name for value in trace.values if value.error is not None} == judged
    assert trace.first_wrong is None and trace.remark is None
    trace = own_trace(own_file(PARAMETERS.replace("d_z.sum(axis=0)", "d_y.sum(axis=0)"), "wrong.py"), "Affine")
    assert [value.name for value in trace.values if value.problem] == ["self.d_bias"]
    assert trace.values[trace.first_wrong].name == "self.d_bias"


def test_gradients_that_are_there_already_are_added_to(own_file):
    module = user_function.load(own_file(PARAMETERS))
    layer, inputs = module.Affine(), module.example_inputs()
    totals = []
    for _ in range(2):
        trace = step(layer.forward, inputs).trace
        assert value_named(trace, "self.weight.grad").problem is None
        totals.append(layer.weight.grad.copy())
    np.testing.assert_allclose(totals[1], 2 * totals[0])    # to measure them has added nothing


def test_parameters_with_too_many_numbers_are_not_judged(own_file, monkeypatch):
    monkeypatch.setattr(derivatives, "MOST_ELEMENTS", 15)
    trace = own_trace(own_file(PARAMETERS), "Affine")
    assert trace.remark == "the gradients of self.weight, self.bias are not judged: they have too many numbers"
    assert value_named(trace, "d_x").error <= 128 and value_named(trace, "self.d_bias").error is None


def test_decorated_functions_and_kinks(own_file):
    trace = own_trace(own_file("""
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
    ("import time; time.sleep(0.05); y = x * 2", r"measuring them would take about \d+ s: make the inputs smaller"),
    ("y = {1: x * 2}[x[0]]", ".*"),
    ("y = x[0] * 2 * x[[1]]", "backward must return an array for each floating array among the inputs")])
def test_gradients_are_judged_only_where_that_makes_sense(body, remark, own_file, monkeypatch):
    monkeypatch.setattr(derivatives, "SECONDS", 0.2)
    trace = own_trace(own_file(f"""
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


def test_a_backward_pass_that_takes_the_inputs(own_file):
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
    trace = own_trace(own_file(source), "f")
    assert value_named(trace, "d_x").problem is None and value_named(trace, "d_weight").error < 128
    assert trace.values[value_named(trace, "y").gradient] is value_named(trace, "d_y")
    trace = own_trace(own_file(source.replace("(axis=0)", "(axis=0, keepdims=True)"), "other.py"), "f")
    assert value_named(trace, "d_weight").problem == "shape is [1, 3], must be [3]"


def test_what_a_function_raises_ends_its_trace(own_file, capsys):
    path = own_file("""
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


def test_an_argument_that_is_changed_in_place_is_wrong(own_file):
    trace = own_trace(own_file("""
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


def test_an_array_that_is_filled_place_by_place(own_file):
    trace = own_trace(own_file("""
        import numpy as np
        def example_inputs():
            return {"x": np.arange(6.0).reshape(2, 3), "w": np.array([2.0, -1.0])}
        def slide(x, w):
            y = np.zeros((2, 2))
            for t in range(2):
                y[:, t] = x[:, t:t + 2] @ w
            return y, (x, w)
        def slide_backward(d_y, cache):
            x, w = cache
            d_x, d_w = np.zeros_like(x), np.zeros_like(w)
            for t in range(2):
                d_x[:, t:t + 2] += np.outer(d_y[:, t], w)
                np.add(d_w, d_y[:, t] @ x[:, t:t + 2], out=d_w)
            return d_x, d_w
    """), "slide")
    assert trace.first_wrong is None and len(trace.input_gradients) == 2
    lines = {name: [trace.steps[value.time][2] for value in trace.values if value.name == name]
             for name in ("y", "d_x", "d_w")}
    first = trace.functions[0].first_line
    assert lines == {"y": [first + 1, first + 3, first + 3], "d_x": [first + 7, first + 9, first + 9],
                     "d_w": [first + 7, first + 10, first + 10]}
    ends = {name: [value for value in trace.values if value.name == name][-1] for name in lines}
    assert ends["d_x"].error < 1e7 and trace.values[ends["d_x"].of].name == "x"
    assert trace.values[ends["y"].gradient].name == "d_y"


def test_a_page_that_would_be_too_large_is_refused(own_file, tmp_path, capsys):
    path = own_file("""
        import numpy as np
        def example_inputs():
            return {"x": np.random.default_rng(0).standard_normal((200, 300))}
        def f(x):
            for _ in range(9):
                x = np.sin(3 * x)
            return x
    """)
    assert "MB, must have at most 2: make the inputs smaller" in refused(capsys, path, "-o", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_long_loop_is_cut_off(own_file):
    trace = own_trace(own_file("""
        import numpy as np
        def example_inputs():
            return {"x": np.ones(2)}
        def f(x):
            for number in range(30_000):
                x = x + 1
            return x
    """), "f")
    assert trace.stopped == "only the first 20000 steps were recorded" and len(trace.steps) == 20000


def test_under_a_debugger_nothing_can_be_shown(own_file):
    previous = sys.gettrace()
    sys.settrace(lambda frame, event, argument: None)
    try:
        for start in (lambda: step("relu"), lambda: own_trace(own_file(OWN))):
            with pytest.warns(UserWarning, match="a debugger is at work"), pytest.raises(UserError, match="debugger"):
                start()
    finally:
        sys.settrace(previous)
