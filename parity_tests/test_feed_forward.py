"""layers/feed_forward.py: parity, oracles, torch's functions, shapes, extreme inputs, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.harness import oracles
from parity_tests.harness.against.feed_forward import OTHERS
from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.feed_forward import CASES, layer_case
from parity_tests.harness.catalog.linear import rows
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize("twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)],
                                ids=["numpy", "torch"])


def named(name):
    return all_cases()[f"feed_forward: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("name", ["FeedForward, dropout", "GatedFeedForward, dropout"])
def test_empty_batch(name):
    for form in named(name).forms():
        named(name).empty("x").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@given(layer=st.sampled_from(["FeedForward", "GatedFeedForward"]), leading=st.lists(st.integers(1, 3), max_size=3),
       d_model=st.integers(1, 6), d_ff=st.integers(1, 6), activation=st.sampled_from(["relu", "gelu", "silu", "tanh"]),
       dropout=st.sampled_from([0.0, 0.5]), bias=st.booleans())
def test_shapes(layer, leading, d_model, d_ff, activation, dropout, bias):
    case = dataclasses.replace(
        layer_case("any shape", layer, activation), inputs=rows(*leading, d_model),
        build=lambda twin, dtype, rng: getattr(twin.layers.feed_forward, layer)(
            d_model, d_ff, activation, dropout, bias, rng=rng, dtype=dtype))
    case.check("plain")
    case.check("lean")


@pytest.mark.parametrize("size", [1e4, 1e-4, 0])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_extreme_inputs(case, size):
    def inputs(rng, dtype):
        return {"x": case.inputs(rng, dtype)["x"] * np.asarray(size, dtype)}
    oracles.check_extreme(dataclasses.replace(case, inputs=inputs))


def test_tokens_are_independent(rng):
    """What one token says changes no other token."""
    layer = named("GatedFeedForward, SwiGLU").numpy_twin()
    x = rng.standard_normal((2, 3, 5))
    before = layer(x)
    x[1, 1] += 1
    changed = (layer(x) != before).any(axis=-1)
    np.testing.assert_array_equal(changed, [[False] * 3, [False, True, False]])


@TWINS
@pytest.mark.parametrize("layer", ["FeedForward", "GatedFeedForward"])
def test_errors_name_the_argument(layer, twin, as_input):
    build = getattr(twin.layers.feed_forward, layer)
    with pytest.raises(ValueError, match="activation is 'swish', must be one of 'relu', 'gelu'"):
        build(5, 7, "swish")
    with pytest.raises(ValueError, match="d_ff is 0, must be at least 1"):
        build(5, 0)
    with pytest.raises(ValueError, match="dropout is 1, must be at least 0 and below 1"):
        build(5, 7, dropout=1)
    with pytest.raises(ValueError, match=r"x has shape \(2, 4\), its last axis must be 5"):
        build(5, 7, dtype="float64")(as_input(np.zeros((2, 4))))
    with pytest.raises(TypeError, match="x has dtype float32, must be float64"):
        build(5, 7, dtype="float64")(as_input(np.zeros((2, 5), "float32")))
