"""models/decoder.py: parity, oracles, torch's own decoder in the same weights, causality, memory, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parity_tests.harness import oracles
from parity_tests.harness.against.decoder import OTHERS
from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.attention import normal
from parity_tests.harness.catalog.decoder import CASES, CAUSAL, layer
from parity_tests.harness.catalog.encoder import PADDING, SIZES
from parity_tests.harness.catalog.residual import PLACEMENTS
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize("twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)],
                                ids=["numpy", "torch"])


def named(name):
    return all_cases()[f"decoder: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


def test_empty_batch():
    case = named("Decoder, post-norm, dropout")
    one_mask = dataclasses.replace(
        case, inputs=lambda rng, dtype: case.inputs(rng, dtype) | {"memory_mask": PADDING[:1]})
    for form in ("plain", "lean", "lean float32"):
        one_mask.empty("x", "memory").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check_adjoint(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@TWINS
def test_where_dropout_is_active(twin, as_input):
    module = twin.models.decoder.DecoderLayer(*SIZES, 0.3)
    assert {path: part.p for path, part in module.named_modules() if getattr(part, "p", 0) > 0} == dict.fromkeys((
        "self_attention.sublayer.dropout", "self_attention.dropout",
        "cross_attention.sublayer.dropout", "cross_attention.dropout",
        "feed_forward.sublayer.dropout", "feed_forward.dropout"), 0.3)


@settings(max_examples=10)
@given(batch=st.integers(1, 3), targets=st.integers(1, 4), sources=st.integers(1, 4), num_heads=st.sampled_from([1, 2]),
       d_head=st.integers(4, 5), d_ff=st.integers(1, 5), norm_first=st.booleans(), seed=st.integers(0, 9))
def test_shapes_and_masks(batch, targets, sources, num_heads, d_head, d_ff, norm_first, seed):
    draw, width = np.random.default_rng(seed).random, num_heads * d_head

    def inputs(rng, dtype):
        return {**normal(rng, dtype, x=(batch, targets, width), memory=(batch, sources, width)),
                "mask": mask, "memory_mask": memory_mask}

    mask = np.tri(targets, dtype=bool) & (draw((batch, 1, 1, targets)) < 0.7)
    memory_mask = draw((batch, 1, 1, sources)) < 0.7
    case = dataclasses.replace(
        layer("any shape"), inputs=inputs, build=lambda twin, dtype, rng: twin.models.decoder.DecoderLayer(
            width, num_heads, d_ff, 0.2, norm_first=norm_first, rng=rng, dtype=dtype))
    case.check("plain")
    case.check("lean")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_past_does_not_see_the_future(placement, rng):
    """A change at place t changes row t and those after it, and d_x before t hears nothing from what is above it."""
    module = named(f"Decoder, {placement}").numpy_twin()
    x, memory = rng.standard_normal((2, 5, 8)), rng.standard_normal((2, 4, 8))
    before = module(x, memory, CAUSAL)
    for t in range(5):
        changed = x.copy()
        changed[:, t] += 1
        differs = (module(changed, memory, CAUSAL) != before).any(axis=(0, 2))
        np.testing.assert_array_equal(differs, np.arange(5) >= t)
        d_y = np.zeros((2, 5, 8))
        d_y[:, t] = rng.standard_normal((2, 8))
        module(x, memory, CAUSAL)
        d_x, _ = module.backward(d_y)
        np.testing.assert_array_equal(d_x.any(axis=(0, 2)), np.arange(5) <= t)


def test_hidden_memory_gets_no_gradient(rng):
    module, case = named("Decoder, post-norm").numpy_twin(), named("Decoder, post-norm")
    inputs = case.draw_inputs()
    _, d_memory = module.backward(rng.standard_normal(module(*inputs.values()).shape))
    np.testing.assert_array_equal(d_memory.any(axis=-1), PADDING[:, 0, 0])


@TWINS
def test_the_number_of_layers_is_checked(twin, as_input):
    with pytest.raises(ValueError, match="num_layers is 0, must be at least 1"):
        twin.models.decoder.Decoder(0, *SIZES)
    with pytest.raises(TypeError, match="num_layers is 2.0, must be an int"):
        twin.models.decoder.Decoder(2.0, *SIZES)


@TWINS
def test_errors_name_the_argument(twin, as_input):
    decoder = twin.models.decoder.Decoder(1, *SIZES, dtype="float64")
    x, memory = as_input(np.zeros((2, 5, 8))), as_input(np.zeros((2, 4, 8)))
    with pytest.raises(ValueError, match=r"^memory has shape \(2, 3, 7\), its last axis must be 8"):
        decoder(x, as_input(np.zeros((2, 3, 7))))
    with pytest.raises(ValueError, match=r"^memory has shape \(1, 4, 8\), its first axis .* must be 2, as x's"):
        decoder(x, memory[:1])
    with pytest.raises(ValueError, match=r"mask has shape \(1, 1, 4, 4\), must broadcast to \(2, 2, 5, 5\)"):
        decoder(x, memory, as_input(CAUSAL[..., :4, :4]))
    with pytest.raises(ValueError, match=r"^memory_mask has shape \(3, 1, 1, 4\), must broadcast to \(2, 2, 5, 4\)"):
        decoder(x, memory, as_input(CAUSAL), as_input(PADDING))
