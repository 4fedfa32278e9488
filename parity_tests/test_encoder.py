"""models/encoder.py: parity, oracles, torch's own encoder in the same weights, order of tokens, padding, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parity_tests.harness import oracles
from parity_tests.harness.against.encoder import OTHERS
from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.attention import normal
from parity_tests.harness.catalog.encoder import CASES, PADDING, SIZES, layer
from parity_tests.harness.catalog.residual import PLACEMENTS
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize("twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)],
                                ids=["numpy", "torch"])


def named(name):
    return all_cases()[f"encoder: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


def test_empty_batch():
    case = named("Encoder, pre-norm, dropout")
    one_mask = dataclasses.replace(case, inputs=lambda rng, dtype: case.inputs(rng, dtype) | {"mask": PADDING[:1]})
    for form in ("plain", "lean", "lean float32"):
        one_mask.empty("x").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check_adjoint(case)


def test_oracles_element_by_element():
    oracles.check(named("EncoderLayer, post-norm, dropout"))


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@TWINS
def test_where_dropout_is_active(twin, as_input):
    module = twin.models.encoder.EncoderLayer(*SIZES, 0.3)
    assert {path: part.p for path, part in module.named_modules() if getattr(part, "p", 0) > 0} == dict.fromkeys((
        "self_attention.sublayer.dropout", "self_attention.dropout",
        "feed_forward.sublayer.dropout", "feed_forward.dropout"), 0.3)


@settings(max_examples=10)
@given(batch=st.integers(1, 3), length=st.integers(1, 4), num_heads=st.sampled_from([1, 2]),
       d_head=st.integers(4, 5), d_ff=st.integers(1, 5), norm_first=st.booleans(), seed=st.integers(0, 9))
def test_shapes_and_masks(batch, length, num_heads, d_head, d_ff, norm_first, seed):
    mask = np.random.default_rng(seed).random((batch, 1, 1, length)) < 0.7
    case = dataclasses.replace(
        layer("any shape"), inputs=lambda rng, dtype: {**normal(rng, dtype, x=(batch, length, num_heads * d_head)),
                                                       "mask": mask},
        build=lambda twin, dtype, rng: twin.models.encoder.EncoderLayer(
            num_heads * d_head, num_heads, d_ff, 0.2, norm_first=norm_first, rng=rng, dtype=dtype))
    case.check("plain")
    case.check("lean")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_order_of_tokens_has_no_meaning_here(placement, rng):
    """Without positions, an encoder that reads the tokens in another order gives the same rows in that order."""
    module = named(f"Encoder, {placement}").numpy_twin()
    x, order = rng.standard_normal((2, 5, 8)), rng.permutation(5)
    np.testing.assert_allclose(module(x[:, order]), module(x)[:, order], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_padding_has_no_influence(placement, rng):
    """Whatever stands in the padding, the rows of the other tokens stay as they are."""
    module, visible = named(f"Encoder, {placement}").numpy_twin(), PADDING[:, 0, 0]
    x = rng.standard_normal((3, 4, 8))
    before = module(x, PADDING)
    x[~visible] = 5 * rng.standard_normal((np.count_nonzero(~visible), 8))
    after = module(x, PADDING)
    np.testing.assert_array_equal(after[visible], before[visible])
    assert (after[~visible] != before[~visible]).all()


def test_only_pre_norm_has_a_final_norm():
    assert "norm.gamma" in named("Encoder, pre-norm").numpy_twin().state_dict()
    assert "norm.gamma" not in named("Encoder, post-norm").numpy_twin().state_dict()


@TWINS
def test_the_number_of_layers_is_checked(twin, as_input):
    with pytest.raises(ValueError, match="num_layers is 0, must be at least 1"):
        twin.models.encoder.Encoder(0, *SIZES)
    with pytest.raises(TypeError, match="num_layers is 2.0, must be an int"):
        twin.models.encoder.Encoder(2.0, *SIZES)


@TWINS
def test_errors_name_the_argument(twin, as_input):
    with pytest.raises(ValueError, match="d_model is 8, must be divisible by num_heads, 3"):
        twin.models.encoder.EncoderLayer(8, 3, 6)
    encoder = twin.models.encoder.Encoder(1, *SIZES, dtype="float64")
    with pytest.raises(ValueError, match=r"^x has shape \(2, 3, 7\), its last axis must be 8"):
        encoder(as_input(np.zeros((2, 3, 7))))
    with pytest.raises(TypeError, match="^x has dtype float32, must be float64"):
        encoder(as_input(np.zeros((2, 3, 8), "float32")))
    with pytest.raises(ValueError, match=r"mask has shape \(3, 1, 1, 4\), must broadcast to \(2, 2, 4, 4\)"):
        encoder(as_input(np.zeros((2, 4, 8))), as_input(PADDING))
