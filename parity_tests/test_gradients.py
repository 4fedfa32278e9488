"""The global norm and clipping, in both twins, against torch.nn.utils.clip_grad_norm_."""

import math

import numpy as np
import pytest
import torch

import numpy_impl.module
import torch_impl.module
from numpy_impl.training import gradients as numpy_gradients
from parity_tests.harness.against.gradients import OTHERS
from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog.gradients import CASES
from torch_impl.training import gradients as torch_gradients

SHAPES = {"embedding.weight": (50, 7), "linear.weight": (5, 3), "linear.bias": (5,), "scale": (), "nothing": (0, 4)}
each_twin = pytest.mark.parametrize("twin", ["numpy", "torch"])
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def draw(dtype, scale=1.0):
    rng = np.random.default_rng(0)
    return {path: (scale * rng.standard_normal(shape)).astype(dtype).reshape(shape) for path, shape in SHAPES.items()}


def numpy_parameters(arrays):
    """Pairs (path, Parameter) with these gradients."""
    named_parameters = [(path, numpy_impl.module.Parameter(np.zeros_like(array))) for path, array in arrays.items()]
    for path, parameter in named_parameters:
        parameter.grad[...] = arrays[path]
    return named_parameters


def torch_parameters(arrays):
    named_parameters = [(path, torch_impl.module.Parameter(torch.zeros_like(torch.tensor(array))))
                        for path, array in arrays.items()]
    for path, parameter in named_parameters:
        parameter.grad = torch.tensor(arrays[path])
    return named_parameters


def make(twin, arrays):
    """The twin's module and the parameters with these gradients."""
    if twin == "numpy":
        return numpy_gradients, numpy_parameters(arrays)
    return torch_gradients, torch_parameters(arrays)


def grads(named_parameters):
    return {path: np.asarray(parameter.grad) for path, parameter in named_parameters}


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@each_dtype
@each_twin
@pytest.mark.parametrize("scale", [1e-10, 1e-3, 1.0, 1e10])
@pytest.mark.parametrize("max_norm", [0.5, 1.0, 19.0, 1e9, math.inf])
def test_clips_as_torch(twin, dtype, scale, max_norm):
    gradients, named_parameters = make(twin, draw(dtype, scale))
    oracle = torch_parameters(draw(dtype, scale))
    expected = torch.nn.utils.clip_grad_norm_([parameter for _, parameter in oracle], max_norm)
    norm = gradients.clip_gradients(iter(named_parameters), max_norm)
    # Sums of some 400 squares in another order: a few eps.
    eps = float(np.finfo(dtype).eps)
    assert type(norm) is float and norm == pytest.approx(float(expected), rel=8 * eps, abs=0)
    for path, gradient in grads(named_parameters).items():
        assert gradient.dtype == np.dtype(dtype)
        np.testing.assert_allclose(gradient, grads(oracle)[path], rtol=8 * eps, atol=0, err_msg=path)


@each_dtype
@each_twin
def test_leaves_small_gradients_as_they_are(twin, dtype):
    gradients, named_parameters = make(twin, draw(dtype))
    norm = gradients.global_norm(named_parameters)
    assert gradients.clip_gradients(named_parameters, norm * 1.001) == norm
    for path, gradient in grads(named_parameters).items():
        np.testing.assert_array_equal(gradient, draw(dtype)[path])


@each_twin
def test_the_clipped_norm_is_just_below_max_norm(twin):
    gradients, named_parameters = make(twin, draw("float64"))
    norm = gradients.clip_gradients(named_parameters, 2.0)
    clipped = gradients.global_norm(named_parameters)
    assert clipped == pytest.approx(2.0 * norm / (norm + 1e-6), rel=8 * 2.0**-52, abs=0) and clipped < 2.0


@each_twin
def test_norm_by_hand(twin):
    gradients, named_parameters = make(twin, {"a": np.array([2.0, -3.0]), "b": np.array([[6.0]])})
    assert gradients.global_norm(named_parameters) == 7.0
    assert gradients.global_norm([]) == 0.0
    assert gradients.clip_gradients([], 1.0) == 0.0


@each_twin
def test_zero_gradients_stay_zero(twin):
    gradients, named_parameters = make(twin, {"a": np.zeros(3)})
    assert gradients.clip_gradients(named_parameters, 1.0) == 0.0
    assert not grads(named_parameters)["a"].any()


@each_dtype
def test_the_twins_agree(dtype):
    ours, theirs = numpy_parameters(draw(dtype)), torch_parameters(draw(dtype))
    eps = float(np.finfo(dtype).eps)
    assert numpy_gradients.clip_gradients(ours, 1.0) == pytest.approx(
        torch_gradients.clip_gradients(theirs, 1.0), rel=8 * eps, abs=0)
    for path, gradient in grads(ours).items():
        np.testing.assert_allclose(gradient, grads(theirs)[path], rtol=8 * eps, atol=0)


def test_torch_leaves_out_a_gradient_of_none():
    named_parameters = torch_parameters({"a": np.array([3.0]), "b": np.array([4.0])})
    named_parameters.append(("c", torch_impl.module.Parameter(torch.zeros(3))))
    assert torch_gradients.global_norm(named_parameters) == 5.0
    assert torch_gradients.clip_gradients(named_parameters, 1.0) == 5.0
    assert named_parameters[2][1].grad is None


@each_twin
@pytest.mark.parametrize("value, message", [
    (np.nan, r"norm of the gradients is nan: the gradient of 'linear.weight' holds 1 NaN and 0 infinite values"),
    (-np.inf, r"norm of the gradients is inf: the gradient of 'linear.weight' holds 0 NaN and 1 infinite values"),
    (1e200, r"norm of the gradients is inf: all are finite, but too large .* 1e\+200, is in 'linear.weight'"),
])
@pytest.mark.filterwarnings("error")
def test_a_norm_that_is_not_finite_is_an_error_and_changes_nothing(twin, value, message):
    arrays = draw("float64")
    arrays["linear.weight"][2, 1] = value
    if not np.isfinite(value):
        arrays["linear.bias"][0] = np.nan if np.isnan(value) else np.inf      # only the first one is named
    gradients, named_parameters = make(twin, arrays)
    with pytest.raises(FloatingPointError, match=message):
        gradients.clip_gradients(named_parameters, 1.0)
    for path, gradient in grads(named_parameters).items():
        np.testing.assert_array_equal(gradient, arrays[path])


@each_twin
@pytest.mark.parametrize("max_norm", [0, -1.0, math.nan])
def test_refuses_a_max_norm_that_is_not_positive(twin, max_norm):
    gradients, named_parameters = make(twin, draw("float64"))
    with pytest.raises(ValueError, match="max_norm is .*, must be above 0"):
        gradients.clip_gradients(named_parameters, max_norm)
