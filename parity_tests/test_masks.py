"""layers/masks.py: parity, the definitions element by element, torch's attention, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.harness.cases import pairs
from parity_tests.harness.catalog.masks import CASES
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize(
    "twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])
BOOLEAN = {NUMPY: np.dtype(bool), TORCH: torch.bool}


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@given(num_queries=st.integers(1, 7), num_keys=st.integers(1, 7), window=st.integers(1, 9), causal=st.booleans())
def test_a_sliding_window_is_its_definition(num_queries, num_keys, window, causal):
    expected = np.array([[i - window + 1 <= j <= i if causal else abs(i - j) < window for j in range(num_keys)]
                         for i in range(num_queries)])
    for twin in (NUMPY, TORCH):
        mask = twin.layers.masks.sliding_window_mask(num_queries, num_keys, window, causal)
        assert mask.dtype == BOOLEAN[twin]
        assert np.array_equal(np.asarray(mask), expected[None, None])


@TWINS
@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_causal_mask_hides_the_future(length, twin, as_input):
    mask = twin.layers.masks.causal_mask(length)
    assert mask.dtype == BOOLEAN[twin]
    assert np.array_equal(np.asarray(mask)[0, 0], np.tri(length, dtype=bool))
    window = twin.layers.masks.sliding_window_mask(length, length, length)
    assert np.array_equal(np.asarray(mask), np.asarray(window))


@TWINS
@pytest.mark.parametrize("int_type", ["int32", "int64"])
def test_a_padding_mask_hides_keys_for_all_queries(int_type, twin, as_input):
    ids = np.array([[4, 5, 0], [0, 0, 0]], int_type)
    mask = twin.layers.masks.padding_mask(as_input(ids), 0)
    assert mask.dtype == BOOLEAN[twin] and mask.shape == (2, 1, 1, 3)
    assert np.array_equal(np.asarray(mask)[:, 0, 0], [[True, True, False], [False, False, False]])
    assert twin.layers.masks.padding_mask(as_input(ids[:0]), 0).shape == (0, 1, 1, 3)


@TWINS
def test_combined_masks_hide_what_any_of_them_hides(twin, as_input):
    masks = twin.layers.masks
    padding = masks.padding_mask(as_input(np.array([[4, 5, 6, 0], [7, 0, 0, 0]])), 0)
    combined = masks.combine_masks(None, padding, masks.causal_mask(4), None)
    assert combined.dtype == BOOLEAN[twin] and combined.shape == (2, 1, 4, 4)
    assert np.array_equal(np.asarray(combined), np.asarray(padding) & np.tri(4, dtype=bool))
    assert masks.combine_masks() is None and masks.combine_masks(None, None) is None
    assert masks.combine_masks(None, padding) is padding


def test_true_means_the_same_as_in_torch_attention():
    """A causal mask is what is_causal=True stands for."""
    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    attention = torch.nn.functional.scaled_dot_product_attention
    masked = attention(x, x, x, attn_mask=TORCH.layers.masks.causal_mask(5))
    torch.testing.assert_close(masked, attention(x, x, x, is_causal=True), rtol=1e-12, atol=1e-12)


@TWINS
def test_errors_name_the_argument(twin, as_input):
    masks = twin.layers.masks
    with pytest.raises(ValueError, match="length is 0, must be at least 1"):
        masks.causal_mask(0)
    with pytest.raises(TypeError, match="length is 2.0, must be an int"):
        masks.causal_mask(2.0)
    for name, arguments in (("num_queries", (0, 1, 1)), ("num_keys", (1, 0, 1)), ("window", (1, 1, 0))):
        with pytest.raises(ValueError, match=f"{name} is 0, must be at least 1"):
            masks.sliding_window_mask(*arguments)
    with pytest.raises(ValueError, match=r"ids has shape \(3,\), must have 2 axes"):
        masks.padding_mask(as_input(np.zeros(3, "int64")), 0)
    with pytest.raises(ValueError, match=r"ids has shape \(2, 0\), only its first axis"):
        masks.padding_mask(as_input(np.zeros((2, 0), "int64")), 0)
    with pytest.raises(ValueError, match="ids holds the id -1, must be at least 0"):
        masks.padding_mask(as_input(np.full((2, 2), -1)), 0)
    with pytest.raises(TypeError, match="ids has dtype float64"):
        masks.padding_mask(as_input(np.zeros((2, 2))), 0)
    with pytest.raises(TypeError, match="padding_idx is None, must be an int"):
        masks.padding_mask(as_input(np.zeros((2, 2), "int64")), None)
    with pytest.raises(TypeError, match="mask has dtype int64, must be bool"):
        masks.combine_masks(masks.causal_mask(3), as_input(np.ones((3, 3), "int64")))
    with pytest.raises(TypeError, match="mask is a list"):
        masks.combine_masks([[True]])
    with pytest.raises(ValueError, match=r"the masks have shapes .*, must broadcast together"):
        masks.combine_masks(masks.causal_mask(3), masks.causal_mask(4))


def test_a_bad_id_is_told_without_an_upper_end():
    with pytest.raises(ValueError, match="ids holds the id -1, must be at least 0$"):
        NUMPY.layers.masks.padding_mask(np.array([[-1]]), 0)
    with pytest.raises(ValueError, match="padding_idx is -1, must be at least 0$"):
        NUMPY.layers.masks.padding_mask(np.array([[1]]), np.int64(-1))
