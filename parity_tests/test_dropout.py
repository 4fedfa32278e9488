"""layers/dropout.py: parity, oracles, torch on the same masks, which masks are drawn, statistics, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numpy_impl.module import Module
from numpy_impl.random import dropout_keep
from parity_tests.harness import oracles
from parity_tests.harness.against.dropout import OTHERS
from parity_tests.harness.cases import Case, pairs
from parity_tests.harness.catalog.dropout import CASES
from parity_tests.harness.catalog.linear import rows
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize(
    "twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])
KEY = {"seed": 1, "step": 2, "path": "encoder.dropout"}


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("case", CASES[2:], ids=str)
def test_empty_batch(case):
    for form in case.forms():
        case.empty("x").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), p=st.floats(0, 0.99))
def test_any_shape_and_probability(shape, p):
    case = Case("dropout: any", lambda twin, dtype, rng: twin.layers.dropout.Dropout(p), rows(*shape))
    for form in case.forms():
        case.check(form)


@pytest.mark.parametrize("p", [0.2, 0.9])
def test_values_are_dropped_or_scaled(p, rng):
    x = rng.standard_normal((4, 5)) + 10
    keep = rng.random((4, 5)) < 0.5
    for twin, as_input in ((NUMPY, np.asarray), (TORCH, torch.as_tensor)):
        result = twin.layers.dropout.dropout(as_input(x), as_input(keep), p)
        y = np.asarray(result[0] if twin is NUMPY else result)
        assert np.array_equal(y[~keep], np.zeros((~keep).sum()))
        np.testing.assert_allclose(y[keep], x[keep] / (1 - p), rtol=1e-15)


@TWINS
@pytest.mark.parametrize("p, factor", [(0.75, 4), (0.9, 10)])
def test_a_layer_scales_by_its_own_p(p, factor, twin, as_input):
    y = np.asarray(twin.layers.dropout.Dropout(p)(as_input(np.ones((20, 30)))))
    np.testing.assert_allclose(np.unique(y), [0, factor], rtol=1e-15)


def test_the_gradient_stops_where_the_value_was_dropped(rng):
    layer = NUMPY.layers.dropout.Dropout(0.5)
    y = layer(np.ones((40, 5)))
    d_x = layer.backward(np.ones((40, 5)))
    assert np.array_equal(d_x, y) and set(np.unique(d_x)) == {0, 2}


# Which mask is drawn


@TWINS
def test_each_forward_pass_draws_a_fresh_mask(twin, as_input):
    layer = twin.layers.dropout.Dropout(0.5)
    layer.set_dropout(seed=3, step=7)
    x = as_input(np.ones((20, 30)))
    first, second = np.asarray(layer(x)), np.asarray(layer(x))
    assert layer.dropout_step == 9 and not np.array_equal(first, second)
    layer.set_dropout(seed=3, step=7)
    assert np.array_equal(np.asarray(layer(x)), first)
    layer.set_dropout(seed=3, step=8)
    assert np.array_equal(np.asarray(layer(x)), second)


@TWINS
def test_a_new_layer_begins_with_seed_0_at_step_0_and_row_0(twin, as_input):
    """In both twins, so that they agree even where nobody calls `set_dropout`."""
    keep = np.asarray(twin.layers.dropout.Dropout(0.5).draw_keep((20, 30)))
    assert np.array_equal(keep, dropout_keep((20, 30), 0.5, seed=0, step=0, path="", first_row=0))


@TWINS
def test_evaluation_changes_nothing(twin, as_input):
    layer = twin.layers.dropout.Dropout(0.5)
    layer.eval()
    x = as_input(np.arange(6.0).reshape(2, 3))
    assert layer(x) is x and layer.draw_keep((2, 3)) is None and layer.dropout_step == 0
    layer.train()
    assert layer.draw_keep((2, 3)) is not None and layer.dropout_step == 1
    assert twin.layers.dropout.Dropout(0).draw_keep((2, 3)) is None


@TWINS
def test_a_part_of_the_batch_draws_its_part_of_the_mask(twin, as_input):
    layer = twin.layers.dropout.Dropout(0.5)
    x = as_input(np.ones((7, 3, 5)))
    layer.set_dropout(seed=3, step=7)
    whole = np.asarray(layer(x))
    for begin, end in ((0, 2), (2, 3), (3, 7), (7, 7)):
        layer.set_dropout(seed=3, step=7, first_row=begin)
        assert np.array_equal(np.asarray(layer(x[begin:end])), whole[begin:end])


class TwoDropouts(Module):
    """A model with two dropouts in different places."""

    def __init__(self):
        super().__init__()
        self.first = NUMPY.layers.dropout.Dropout(0.5)
        self.second = NUMPY.layers.dropout.Dropout(0.5)


def test_each_place_has_its_own_mask():
    model = TwoDropouts()
    model.set_dropout(seed=3, step=7)
    assert not np.array_equal(model.first.draw_keep((20, 30)), model.second.draw_keep((20, 30)))


@pytest.mark.parametrize("change", [{"seed": 2}, {"step": 3}, {"path": "decoder.dropout"}, {"first_row": 1}])
def test_masks_of_different_keys_are_independent(change):
    """Two independent masks with p = 1/2 agree at half of all places, give or take a few standard deviations."""
    one, other = dropout_keep((100, 100), 0.5, **KEY), dropout_keep((100, 100), 0.5, **{**KEY, **change})
    assert abs((one == other).mean() - 0.5) < 0.025


def test_the_step_and_the_seed_do_not_run_together():
    """Seed 1, step 23 is another mask than seed 12, step 3."""
    assert not np.array_equal(dropout_keep((20, 30), 0.5, seed=1, step=23, path=""),
                              dropout_keep((20, 30), 0.5, seed=12, step=3, path=""))


# Statistics


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_rate_is_p(p):
    """Of 200000 values, and in each row and column, within five standard deviations."""
    keep = dropout_keep((400, 500), p, **KEY)
    for axis, count in ((None, 200000), (0, 400), (1, 500)):
        assert abs(keep.mean(axis=axis) - (1 - p)).max() < 5 * np.sqrt(p * (1 - p) / count)


def test_neighbours_are_independent():
    keep = dropout_keep((400, 500), 0.5, **KEY)
    assert abs((keep[:, 1:] == keep[:, :-1]).mean() - 0.5) < 0.01
    assert abs((keep[1:] == keep[:-1]).mean() - 0.5) < 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_expected_value_stays(dtype):
    y = NUMPY.layers.dropout.Dropout(0.3)(np.ones((400, 500), dtype))
    assert y.dtype == dtype and abs(y.mean(dtype="float64") - 1) < 5 * np.sqrt(0.3 / 0.7 / 200000)


# Errors


@TWINS
def test_errors_name_the_argument(twin, as_input):
    for p in (-0.1, 1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="p is .*, must be at least 0 and below 1"):
            twin.layers.dropout.Dropout(p)
    with pytest.raises(TypeError, match="x has dtype int64"):
        twin.layers.dropout.Dropout(0.5)(as_input(np.zeros((2, 3), "int64")))
    with pytest.raises(TypeError, match="x is a list"):
        twin.layers.dropout.Dropout(0.5)([[0.0]])


@TWINS
def test_p_is_a_plain_number(twin, as_input):
    """A NumPy scalar would promote float32 to float64."""
    layer = twin.layers.dropout.Dropout(np.float64(0.25))
    assert type(layer.p) is float
    with pytest.raises(TypeError, match="p is '0.1', must be a number"):
        twin.layers.dropout.Dropout("0.1")
