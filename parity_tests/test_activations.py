"""layers/activations.py: parity, oracles, torch's own functions, extreme inputs, kinks, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.harness import oracles
from parity_tests.harness.against.activations import OTHERS, of_x
from parity_tests.harness.cases import Case, pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.activations import CASES, FUNCTIONS, NAMES, OMITTED
from parity_tests.harness.catalog.linear import rows
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize(
    "twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])
EXTREMES = np.array([-1e4, -745, -104, -89, -40, -10, -6, -1e-4, -0.0, 0.0, 1e-4, 6, 10, 40, 89, 104, 745, 1e4])


def named(name):
    return all_cases()[f"activations: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("name", NAMES)
def test_empty_batch(name):
    case = named(f'activation("{name}")').empty("x")
    for form in case.forms():
        case.check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@pytest.mark.parametrize("name", NAMES)
@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_any_shape(name, shape):
    case = Case("activations: any", lambda twin, dtype, rng: twin.layers.activations.activation(name), rows(*shape),
                omitted=OMITTED if name == "gelu_tanh" else {})
    for form in case.forms():
        case.check(form)


# Extreme inputs


def at_extremes(rng, dtype):
    return {"x": EXTREMES.astype(dtype)}


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "gelu_erf"])    # erf takes no longdouble
@pytest.mark.filterwarnings("ignore:overflow")    # of exp(-x), which then is inf
def test_extreme_inputs(name):
    oracles.check_extreme(dataclasses.replace(named(name), inputs=at_extremes))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_extreme_inputs_against_torch(name):
    case = dataclasses.replace(named(name), inputs=at_extremes, extreme=True)
    for form in case.forms():
        case.check(form)
    oracles.check_against(case, of_x(name))


@TWINS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_far_out_functions_are_flat_or_straight(name, dtype, twin, as_input):
    """At -10000 all are 0 (tanh is -1); at 10000 they are 1 or x. No warning, no NaN."""
    x = np.array([-1e4, 1e4], dtype)
    expected = {"sigmoid": [0, 1], "tanh": [-1, 1]}.get(name, [0, 1e4])
    expected_slope = [0, 0] if name in ("sigmoid", "tanh") else [0, 1]
    layer = twin.layers.activations.activation(name)
    with np.errstate(all="raise", under="ignore"):
        if twin is NUMPY:
            y, d_x = layer(x), layer.backward(np.ones(2, dtype))
        else:
            tensor = as_input(x).requires_grad_()
            y, d_x = layer(tensor), torch.autograd.grad(layer(tensor).sum(), tensor)[0]
            y, d_x = y.detach().numpy(), d_x.numpy()
    assert y.dtype == d_x.dtype == dtype
    assert np.array_equal(y, np.array(expected, dtype)) and np.array_equal(d_x, np.array(expected_slope, dtype))


def test_sigmoid_is_accurate_far_left():
    x = np.array([-700.0, -100.0, -40.0, -20.0])
    np.testing.assert_allclose(NUMPY.layers.activations.Sigmoid()(x), np.exp(x) / (1 + np.exp(x)), rtol=4e-16)


# Kinks and forms


def test_the_slope_of_relu_at_its_kink_is_0():
    layer = NUMPY.layers.activations.ReLU()
    assert np.array_equal(layer(np.array([-1.0, -0.0, 0.0, 1.0])), [0, 0, 0, 1])
    assert np.array_equal(layer.backward(np.ones(4)), [0, 0, 0, 1])


def test_the_two_forms_of_gelu_differ_by_less_than_one_in_two_thousand():
    x = np.linspace(-6, 6, 1001)
    difference = NUMPY.layers.activations.GELU("none")(x) - NUMPY.layers.activations.GELU("tanh")(x)
    assert 0.0004 < abs(difference).max() < 0.0005


@TWINS
def test_activation_makes_a_new_module_of_the_right_class(twin, as_input):
    activations = twin.layers.activations
    classes = {"relu": activations.ReLU, "gelu": activations.GELU, "gelu_tanh": activations.GELU,
               "silu": activations.SiLU, "sigmoid": activations.Sigmoid, "tanh": activations.Tanh}
    assert set(classes) == set(NAMES)
    for name, expected in classes.items():
        assert type(activations.activation(name)) is expected
    assert activations.activation("gelu").approximate == "none"
    assert activations.activation("gelu_tanh").approximate == "tanh"
    assert activations.activation("relu") is not activations.activation("relu")


# Errors


@TWINS
def test_errors_name_the_argument(twin, as_input):
    activations = twin.layers.activations
    with pytest.raises(ValueError, match="activation is 'swish', must be one of 'relu', 'gelu'"):
        activations.activation("swish")
    with pytest.raises(ValueError, match="approximate is True, must be one of 'none', 'tanh'"):
        activations.GELU(True)
    with pytest.raises(TypeError, match="approximate"):
        activations.GELU()
    for name in NAMES:
        with pytest.raises(TypeError, match="x has dtype int64, must be float32 or float64"):
            activations.activation(name)(as_input(np.zeros((2, 3), "int64")))
        with pytest.raises(TypeError, match="x is a list"):
            activations.activation(name)([1.0])
