"""layers/embedding.py: parity, oracles, torch's own Embedding, padding, initial values, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numpy_impl import initialization
from parity_tests.harness import oracles
from parity_tests.harness.against.embedding import OTHERS, embedding
from parity_tests.harness.cases import Case, pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.embedding import CASES, D_MODEL, NUM_EMBEDDINGS
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize(
    "twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])


def named(name):
    return all_cases()[f"embedding: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_empty_batch(case):
    for form in case.forms():
        case.empty("ids").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=3), size=st.integers(1, 6), width=st.integers(1, 4),
       data=st.data())
def test_any_ids(shape, size, width, data):
    padding_idx = data.draw(st.one_of(st.none(), st.integers(0, size - 1)))

    def build(twin, dtype, rng):
        return twin.layers.embedding.Embedding(size, width, padding_idx, True, rng=rng, dtype=dtype)

    case = Case("embedding: any", build, lambda rng, dtype: {"ids": rng.integers(0, size, shape)})
    case.check("plain")
    oracles.check_against(case, embedding(padding_idx, width**0.5))


def test_a_repeated_id_collects_the_gradient_of_all_its_places():
    layer = NUMPY.layers.embedding.Embedding(3, 2, dtype="float64")
    layer(np.array([[1, 1, 0], [1, 0, 1]]))
    assert layer.backward(np.ones((2, 3, 2))) is None
    assert np.array_equal(layer.weight.grad, [[2, 2], [4, 4], [0, 0]])


def test_whatever_comes_to_the_padding_stays_out():
    """Not even an infinite gradient there does harm."""
    layer = NUMPY.layers.embedding.Embedding(3, 2, padding_idx=0, dtype="float64")
    layer(np.array([[1, 0]]))
    layer.backward(np.array([[[1.0, 2.0], [np.inf, np.nan]]]))
    assert np.array_equal(layer.weight.grad, [[0, 0], [1, 2], [0, 0]])


# Initial values


@TWINS
@pytest.mark.parametrize("padding_idx", [None, 3])
def test_initial_values(padding_idx, twin, as_input):
    layer = twin.layers.embedding.Embedding(400, 64, padding_idx, rng=np.random.default_rng(0), dtype="float64")
    weight = layer.weight.data if twin is NUMPY else layer.weight.detach().numpy()
    assert abs(weight.mean()) < 5 / 8 / np.sqrt(weight.size)
    assert abs(weight.std() * 8 - 1) < 0.02
    assert (padding_idx is None) == weight[3].any()


@TWINS
def test_float32_starts_at_the_rounded_float64(twin, as_input):
    exact, rounded = (twin.layers.embedding.Embedding(40, 8, rng=0, dtype=dtype).weight.tolist() if twin is TORCH else
                      twin.layers.embedding.Embedding(40, 8, rng=0, dtype=dtype).weight.data.tolist()
                      for dtype in ("float64", "float32"))
    assert np.array_equal(np.float32(exact), rounded)


@TWINS
def test_scaled_rows_have_variance_1(twin, as_input):
    layer = twin.layers.embedding.Embedding(400, 64, scale=True, rng=np.random.default_rng(0))
    y = layer(as_input(np.arange(400)))
    y = y if twin is NUMPY else y.detach().numpy()
    assert abs(y.std() - 1) < 0.02


@TWINS
def test_shapes_only(twin, as_input):
    with initialization.shapes_only():
        layer = twin.layers.embedding.Embedding(10**9, 10**6, padding_idx=0)
    assert layer.num_parameters() == 10**15


# Errors


@TWINS
def test_errors_name_the_argument(twin, as_input):
    build = twin.layers.embedding.Embedding
    layer = build(NUM_EMBEDDINGS, D_MODEL)
    for bad in (6, -1):
        with pytest.raises(ValueError, match=f"ids holds the id {bad}, must be at least 0 and below 6"):
            layer(as_input(np.array([[1, bad]])))
    with pytest.raises(TypeError, match="ids has dtype float32, must be int32 or int64"):
        layer(as_input(np.zeros((2, 3), "float32")))
    with pytest.raises(TypeError, match="ids is a list"):
        layer([[1, 2]])
    with pytest.raises(ValueError, match=r"ids has shape \(2, 0\), only its first axis"):
        layer(as_input(np.zeros((2, 0), "int64")))
    for padding_idx in (6, -1):
        with pytest.raises(ValueError, match=f"padding_idx is {padding_idx}, must be at least 0 and below 6"):
            build(NUM_EMBEDDINGS, D_MODEL, padding_idx)
    with pytest.raises(TypeError, match="padding_idx is 1.0, must be an int"):
        build(NUM_EMBEDDINGS, D_MODEL, 1.0)
    with pytest.raises(ValueError, match="num_embeddings is 0"):
        build(0, D_MODEL)
    with pytest.raises(ValueError, match="d_model is 0"):
        build(NUM_EMBEDDINGS, 0)
    with pytest.raises(ValueError, match="dtype is 'float16'"):
        build(NUM_EMBEDDINGS, D_MODEL, dtype="float16")
