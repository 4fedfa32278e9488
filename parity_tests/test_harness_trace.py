"""harness/trace.py: a run as lists that refer to each other, and the equations of its lines."""

import base64
import json

import numpy as np
import pytest

from numpy_impl.layers import normalization
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.equations import equations
from parity_tests.harness.planted import planted
from parity_tests.harness.trace import trace_case
from parity_tests.harness.trace_function import trace_function


@pytest.fixture(scope="module")
def layer_norm():
    return trace_case(all_cases()["normalization: LayerNorm"])


def named(trace, function, name):
    """The first Value of this name in a function."""
    return next(value for value in trace.values
                if value.name == name and trace.functions[trace.calls[value.call].function].name == function)


def test_it_holds_the_run(layer_norm):
    functions = [function.name for function in layer_norm.functions]
    assert functions == ["LayerNorm.forward", "layer_norm", "LayerNorm.backward", "layer_norm_backward"]
    assert [(call.parent, call.reverses) for call in layer_norm.calls] == [(None, None), (0, None), (None, 0), (2, 1)]
    function = layer_norm.functions[1]
    assert function.file == "numpy_impl/layers/normalization.py"
    assert function.source[0] == "def layer_norm(x, gamma, beta, eps):"
    for time, (call, _, line, values) in enumerate(layer_norm.steps):
        function = layer_norm.functions[layer_norm.calls[call].function]
        assert 0 <= line - function.first_line < len(function.source)
        for index in values:
            assert layer_norm.values[index].time == time and layer_norm.values[index].call == call
            assert layer_norm.values[index].name in "\n".join(function.source)


def test_values_are_those_of_an_independent_run(layer_norm):
    case = all_cases()["normalization: LayerNorm"]
    module, x = case.numpy_twin().use_plain(), case.draw_inputs()["x"]
    y = module.forward(x)
    d_x = module.backward(case.upstream(0, y))
    for function, name, expected in (
            ("layer_norm", "mean", x.mean(axis=-1, keepdims=True)), ("layer_norm", "y", y),
            ("layer_norm_backward", "d_x", d_x), ("LayerNorm.backward", "self.gamma.grad", module.gamma.grad)):
        np.testing.assert_array_equal(layer_norm.arrays[named(layer_norm, function, name).array], expected)


def test_gradients_are_linked_with_what_they_are_of(layer_norm):
    x, d_x = named(layer_norm, "layer_norm", "x"), named(layer_norm, "layer_norm_backward", "d_x")
    assert layer_norm.values[x.gradient] is d_x and layer_norm.values[d_x.of] is x
    share = named(layer_norm, "layer_norm_backward", "d_centered_from_squared")
    centered = named(layer_norm, "layer_norm", "centered")
    assert layer_norm.values[share.of] is centered
    assert layer_norm.values[centered.gradient].name == "d_centered"


def test_a_name_that_is_assigned_anew_has_its_gradients_in_reverse():
    trace = trace_case(all_cases()["encoder: Encoder, post-norm"])
    ours = [value for value in trace.values if value.name == "x" and value.call == 0]
    gradients = [trace.values[value.gradient] for value in ours]
    assert [value.name for value in gradients] == ["d_x"] * len(ours)
    assert [value.number for value in gradients] == [value.number for value in reversed(ours)]


def test_errors_are_those_of_the_comparison(layer_norm):
    assert layer_norm.first_wrong is None
    value = named(layer_norm, "layer_norm", "x_hat")
    assert 0 <= value.error <= value.bound == 128 and value.difference < 1e-14
    with planted(normalization.layer_norm_backward, "d_centered + d_mean / d_y.shape[-1]", "d_centered"):
        broken = trace_case(all_cases()["normalization: LayerNorm"])
    assert broken.values[broken.first_wrong].name == "d_x"
    assert broken.values[broken.first_wrong].difference > 0.01


def test_lines_know_their_equations(layer_norm):
    function = next(function for function in layer_norm.functions if function.name == "layer_norm_backward")
    label = "layer-norm-d-beta"
    line = next(line for line, found in function.labels.items() if found == label)
    assert f"# eq: {label}" in function.source[line - function.first_line]
    assert layer_norm.equations[label] == equations()[label] and r"\bar" in equations()[label]


def test_as_json_it_decodes_to_the_arrays(layer_norm):
    data = json.loads(json.dumps(layer_norm.as_json(), allow_nan=False))
    for packed, array in zip(data["arrays"], layer_norm.arrays, strict=True):
        decoded = np.frombuffer(base64.b64decode(packed["data"]), "<f4").reshape(packed["shape"])
        np.testing.assert_array_equal(decoded, array.astype("float32"))
    masked = trace_case(all_cases()["attention: scaled_dot_product_attention, fully masked rows"]).as_json()
    assert {"bool", "float64"} == {array["dtype"] for array in masked["arrays"]}


def cube(x):
    squared = x * x
    y = squared * x
    return y, (x, squared)


def cube_backward(d_y, cache):
    x, squared = cache
    d_x = 3 * d_y * squared
    return d_x


def test_any_function_with_its_backward():
    trace = trace_function(cube, {"x": np.array([1.0, 2.0])}, cube_backward, lambda index, output: np.ones_like(output))
    x = named(trace, "cube", "x")
    np.testing.assert_array_equal(trace.arrays[trace.values[x.gradient].array], [3, 12])
    assert [value.name for value in trace.values] == ["x", "squared", "y", "d_y", "x", "squared", "d_x"]
    assert trace.functions[0].file == "parity_tests/test_harness_trace.py"


def test_a_function_that_raises_ends_its_trace():
    def broken(x):
        y = x + 1
        z = y.reshape(3)
        return z

    trace = trace_function(broken, {"x": np.zeros(2)})
    where = f"parity_tests/test_harness_trace.py:{broken.__code__.co_firstlineno + 2}"
    assert trace.stopped == f"{where}: ValueError: cannot reshape array of size 2 into shape (3,)"
    assert [value.name for value in trace.values] == ["x", "y"]
