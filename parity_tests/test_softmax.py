"""layers/softmax.py: parity, oracles, torch's own functions, masked rows, extreme inputs, errors."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.harness import oracles
from parity_tests.harness.against.softmax import OTHERS
from parity_tests.harness.cases import Case, pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.linear import rows
from parity_tests.harness.catalog.softmax import CASES, LOG_SOFTMAX_OMITTED, SOFTMAX_OMITTED
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize(
    "twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])
LAYERS = pytest.mark.parametrize("layer", ["Softmax", "LogSoftmax"])


def named(name):
    return all_cases()[f"softmax: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_empty_batch(name):
    for form in named(name).forms():
        named(name).empty("x").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), data=st.data())
def test_any_shape_axis_and_mask(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = math.prod(shape)
    hidden = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape)

    def inputs(rng, dtype):
        return {"x": np.where(hidden, -np.inf, rng.standard_normal(shape)).astype(dtype), "axis": axis}

    case = Case("softmax: any", lambda twin, dtype, rng: twin.layers.softmax.softmax, inputs, omitted=SOFTMAX_OMITTED)
    for form in case.forms():
        case.check(form)


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), data=st.data())
def test_log_softmax_of_any_shape_and_axis(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    case = Case("softmax: any", lambda twin, dtype, rng: twin.layers.softmax.LogSoftmax(axis), rows(*shape),
                omitted=LOG_SOFTMAX_OMITTED)
    for form in case.forms():
        case.check(form)


# Masked rows


@pytest.mark.parametrize("plain", [True, False])
def test_a_fully_masked_row_has_no_weights_and_no_gradient(plain, rng):
    x = np.array([[-np.inf, -np.inf], [-np.inf, 3.0]])
    layer = NUMPY.layers.softmax.Softmax().use_plain(plain)
    assert np.array_equal(layer(x), [[0, 0], [0, 1]])
    assert np.array_equal(layer.backward(rng.standard_normal((2, 2))), np.zeros((2, 2)))


@TWINS
@LAYERS
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_and_infinity_are_not_hidden(layer, bad, twin, as_input):
    x = np.array([[1.0, bad, 2.0], [1.0, 2.0, 3.0]])
    y = np.asarray(getattr(twin.layers.softmax, layer)()(as_input(x)))
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()


@LAYERS
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nor_does_the_plain_form_hide_them(layer, bad):
    y = getattr(NUMPY.layers.softmax, layer)().use_plain()(np.array([[1.0, bad, 2.0], [1.0, 2.0, 3.0]]))
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()


@TWINS
@pytest.mark.filterwarnings("ignore:invalid value")
def test_log_softmax_of_a_fully_masked_row_is_nan(twin, as_input):
    x = np.array([[-np.inf, -np.inf], [-np.inf, 3.0]])
    y = np.asarray(twin.layers.softmax.LogSoftmax()(as_input(x)))
    assert np.array_equal(y, torch.log_softmax(torch.from_numpy(x), -1), equal_nan=True)
    assert np.isnan(y[0]).all() and np.array_equal(y[1], [-np.inf, 0])


# Extreme inputs


@pytest.mark.parametrize("name", ["softmax", "softmax of masked scores", "log_softmax"])
@pytest.mark.parametrize("factor, shift", [(1e4, 0), (1e-4, 0), (1, 1e4), (1, -1e4), (0, 5)])
def test_extreme_inputs(name, factor, shift):
    case = named(name)

    def inputs(rng, dtype):
        values = case.inputs(rng, dtype)
        hidden = np.isinf(values["x"])
        x = np.where(hidden, 0, values["x"]) * factor + shift
        return {**values, "x": np.where(hidden, -np.inf, x).astype(dtype)}

    oracles.check_extreme(dataclasses.replace(case, inputs=inputs))


@LAYERS
def test_one_score_a_row(layer):
    case = Case("softmax: one score", lambda twin, dtype, rng: getattr(twin.layers.softmax, layer)(), rows(3, 1),
                omitted=SOFTMAX_OMITTED if layer == "Softmax" else LOG_SOFTMAX_OMITTED)
    for form in case.forms():
        case.check(form)


# Errors


@TWINS
@LAYERS
def test_errors_name_the_argument(layer, twin, as_input):
    build = getattr(twin.layers.softmax, layer)
    with pytest.raises(ValueError, match=r"axis is 2, must be an axis of \(2, 3\)"):
        build(2)(as_input(np.zeros((2, 3))))
    with pytest.raises(ValueError, match=r"axis is 0, must be an axis of \(0, 3\) that is not empty"):
        build(0)(as_input(np.zeros((0, 3))))
    with pytest.raises(ValueError, match=r"x has shape \(2, 0\), only its first axis"):
        build()(as_input(np.zeros((2, 0))))
    with pytest.raises(TypeError, match="x has dtype int64, must be float32 or float64"):
        build()(as_input(np.zeros((2, 3), "int64")))
    with pytest.raises(TypeError, match="x is a list"):
        build()([[0.0]])


@TWINS
@LAYERS
def test_the_axis_is_an_int(layer, twin, as_input):
    with pytest.raises(TypeError, match="axis is None, must be an int"):
        getattr(twin.layers.softmax, layer)(None)
