"""layers/residual.py: parity, oracles, both placements of the norm written out with torch, memory, dropout."""

import dataclasses

import numpy as np
import pytest

from parity_tests.harness import oracles
from parity_tests.harness.against.residual import OTHERS
from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.residual import CASES, PLACEMENTS
from parity_tests.harness.runs import NUMPY


def named(name):
    return all_cases()[f"residual: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_empty_batch(placement):
    for form in named(f"{placement}, feed-forward, dropout").forms():
        named(f"{placement}, feed-forward, dropout").empty("x").check(form)
        named(f"{placement}, self-attention").empty("x").check(form)


@pytest.mark.parametrize("name", ["cross-attention, dropout", "gated feed-forward"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_oracles(placement, name):
    oracles.check(named(f"{placement}, {name}"))


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@pytest.mark.parametrize("case", [case for case in CASES if "pre-norm" in case.name], ids=str)
def test_pre_norm_hands_the_gradient_on(case):
    """With a sublayer that says nothing, x and its gradient pass unchanged, whatever the norm does."""
    module, inputs = case.numpy_twin(), case.draw_inputs()
    for path, parameter in module.sublayer.named_parameters():
        if path.startswith(("output_projection", "down")):
            parameter.data[...] = 0
    y = module(*inputs.values())
    np.testing.assert_array_equal(y, inputs["x"])
    d_y = case.upstream(0, y)
    gradients = module.backward(d_y)
    d_x, *d_context = gradients if isinstance(gradients, tuple) else (gradients,)
    np.testing.assert_array_equal(d_x, d_y)
    assert len(d_context) == ("cross" in case.name) and not np.any(d_context)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_extreme_inputs(placement):
    for name in ("cross-attention", "feed-forward"):
        case = named(f"{placement}, {name}")

        def inputs(rng, dtype):
            values = case.inputs(rng, dtype)
            return {**values, "x": values["x"] * np.asarray(1e4, dtype)}

        oracles.check_extreme(dataclasses.replace(case, inputs=inputs))


def test_dropout_is_on_the_sublayer_alone():
    """Where a value is dropped, x stands as it was: dropout is before the sum."""
    case = named("pre-norm, feed-forward, dropout")
    module, x = case.numpy_twin(), case.draw_inputs()["x"]
    y = module(x)
    sublayer_says = module.eval()(x) - x
    dropped = y == x
    assert 0.2 < dropped.mean() < 0.6
    np.testing.assert_allclose((y - x)[~dropped], sublayer_says[~dropped] / 0.6, rtol=1e-12)


def test_errors():
    layers = NUMPY.layers
    norm = layers.normalization.LayerNorm(8)
    with pytest.raises(ValueError, match="dropout is -0.1, must be at least 0"):
        layers.residual.ResidualConnection(layers.feed_forward.FeedForward(8, 6), norm, -0.1)
