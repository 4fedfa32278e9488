"""layers/linear.py: parity, oracles, torch's own Linear, shapes, extreme inputs, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.harness import oracles
from parity_tests.harness.against.linear import OTHERS
from parity_tests.harness.cases import Case, pairs
from parity_tests.harness.catalog.linear import CASES, layer, rows
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize("twin, array", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])
FUNCTION, _, LAYER, *_ = CASES


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("form", LAYER.forms())
def test_empty_batch(form):
    LAYER.empty("x").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@given(leading=st.lists(st.integers(1, 4), max_size=3), d_in=st.integers(1, 9), d_out=st.integers(1, 9))
def test_shapes(leading, d_in, d_out):
    Case("linear: Linear of any shape", layer(d_in, d_out), rows(*leading, d_in)).check()


@pytest.mark.parametrize("factor", [1e4, 1e-4])
@pytest.mark.parametrize("case", [FUNCTION, LAYER], ids=str)
def test_extreme_inputs(case, factor):
    def inputs(rng, dtype):
        values = case.inputs(rng, dtype)
        return {**values, "x": values["x"] * np.asarray(factor, dtype)}
    oracles.check_extreme(dataclasses.replace(case, inputs=inputs))


@TWINS
def test_initial_values(twin, array):
    """Uniform within ±sqrt(6 / (d_in + d_out)), up to the limit; the bias is 0."""
    linear = twin.layers.linear.Linear(150, 50, rng=0, dtype="float64")
    weight, bias = (np.array(parameter.data.tolist()) for parameter in (linear.weight, linear.bias))
    limit = np.sqrt(6 / 200)
    assert 0.99 * limit < abs(weight).max() <= limit
    assert abs(weight.mean()) < 5 * limit / np.sqrt(3 * weight.size)
    assert abs(weight.std() * np.sqrt(3) / limit - 1) < 0.02
    assert not bias.any()


def test_a_bias_of_zero_is_a_bias(rng):
    """As at the start of training."""
    linear = NUMPY.layers.linear.Linear(5, 7, dtype="float64")
    d_y = rng.standard_normal((3, 7))
    linear(rng.standard_normal((3, 5)))
    linear.backward(d_y)
    assert np.array_equal(linear.bias.grad, d_y.sum(axis=0))


@TWINS
def test_errors_name_the_argument(twin, array):
    linear = twin.layers.linear.Linear(5, 7, dtype="float64")
    with pytest.raises(ValueError, match=r"x has shape \(2, 4\), its last axis must be 5"):
        linear(array(np.zeros((2, 4))))
    with pytest.raises(ValueError, match=r"x has shape \(2, 0, 5\), only its first axis"):
        linear(array(np.zeros((2, 0, 5))))
    with pytest.raises(TypeError, match="x has dtype float32, must be float64"):
        linear(array(np.zeros((2, 5), "float32")))
    with pytest.raises(TypeError, match="x is a list"):
        linear([[0.0] * 5])
    with pytest.raises(ValueError, match="d_in is 0, must be at least 1"):
        twin.layers.linear.Linear(0, 7)
    with pytest.raises(TypeError, match="d_out is 7.0, must be an int"):
        twin.layers.linear.Linear(5, 7.0)
    with pytest.raises(ValueError, match="dtype is 'float16', must be"):
        twin.layers.linear.Linear(5, 7, dtype="float16")
