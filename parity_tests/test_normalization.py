"""layers/normalization.py: parity, oracles, torch's own modules, running statistics, shapes, extreme inputs, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from parity_tests.harness import oracles
from parity_tests.harness.cases import Case, pairs, state_of
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.linear import rows
from parity_tests.harness.catalog.normalization import CASES, LAYER_NORM_OMITTED, layer
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize("twin, array", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])


def named(name):
    return all_cases()[f"normalization: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "BatchNorm1d", "BatchNorm1d in evaluation"])
def test_empty_batch(name):
    for form in named(name).forms():
        named(name).empty("x").check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("name", ["LayerNorm", "layer_norm"])
def test_against_torch_layer_norm(name):
    oracles.check_against(named(name), lambda v: F.layer_norm(v["x"], v["x"].shape[-1:], v["gamma"], v["beta"], 1e-5))


@pytest.mark.parametrize("name", ["RMSNorm", "rms_norm"])
def test_against_torch_rms_norm(name):
    oracles.check_against(named(name), lambda v: F.rms_norm(v["x"], v["x"].shape[-1:], v["gamma"], 1e-5))


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm1d of (N, D)"])
def test_against_torch_batch_norm(name):
    def other(v):
        rows = v["x"].reshape(-1, 5)
        return F.batch_norm(rows, None, None, v["gamma"], v["beta"], training=True).reshape(v["x"].shape)
    oracles.check_against(named(name), other)


def test_running_statistics_are_those_of_torch(rng):
    """Three batches in training, then one in evaluation, after which nothing has moved."""
    ours = NUMPY.layers.normalization.BatchNorm1d(5, dtype="float64")
    theirs = torch.nn.BatchNorm1d(5, dtype=torch.float64)
    for training in (True, True, True, False):
        x = 3 + 2 * rng.standard_normal((4, 3, 5))
        y = ours.train(training)(x)
        expected = theirs.train(training)(torch.from_numpy(x).reshape(12, 5)).reshape(4, 3, 5)
        np.testing.assert_allclose(y, expected.detach(), rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(ours.running_mean, theirs.running_mean, rtol=1e-14)
        np.testing.assert_allclose(ours.running_variance, theirs.running_var, rtol=1e-14)


@pytest.mark.parametrize("name, omitted", [("LayerNorm", LAYER_NORM_OMITTED), ("RMSNorm", {}), ("BatchNorm1d", {})])
@given(leading=st.lists(st.integers(1, 4), max_size=2), count=st.integers(4, 9), width=st.integers(4, 9))
def test_shapes(name, omitted, leading, count, width):
    """4 at least: the norm of 1 or 2 features (or rows) is ±1, and its gradient vanishes in a difference."""
    case = Case(f"normalization: any {name}", layer(name, width), rows(*leading, count, width), omitted=omitted)
    case.check("plain")
    case.check("lean")


def scaled(factor, inputs):
    """The same inputs with x multiplied."""
    def scaled_inputs(rng, dtype):
        values = inputs(rng, dtype)
        return {**values, "x": values["x"] * np.asarray(factor, dtype)}
    return scaled_inputs


def equal_rows(inputs):
    """The same inputs with all of x equal."""
    return lambda rng, dtype: {**inputs(rng, dtype), "x": np.full((4, 3, 5), 3, dtype)}


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "batch_norm", "batch_norm_training"])
def test_extreme_inputs(name):
    case = named(name)
    for inputs in (scaled(1e4, case.inputs), scaled(1e-4, case.inputs), equal_rows(case.inputs)):
        oracles.check_extreme(dataclasses.replace(case, inputs=inputs))


@TWINS
def test_one_row_has_no_variance(twin, array):
    norm = twin.layers.normalization.BatchNorm1d(5, dtype="float64")
    with pytest.raises(ValueError, match=r"x has shape \(1, 5\), must have more than one row in training"):
        norm(array(np.zeros((1, 5))))
    before = state_of(norm)
    norm.eval()(array(np.zeros((1, 5))))
    assert all(np.array_equal(before[name], array) for name, array in state_of(norm).items())


@TWINS
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "BatchNorm1d"])
def test_errors_name_the_argument(name, twin, array):
    build = getattr(twin.layers.normalization, name)
    with pytest.raises(ValueError, match=r"x has shape \(2, 4\), its last axis must be 5"):
        build(5, dtype="float64")(array(np.zeros((2, 4))))
    with pytest.raises(TypeError, match="x has dtype float32, must be float64"):
        build(5, dtype="float64")(array(np.zeros((2, 5), "float32")))
    with pytest.raises(ValueError, match="d_model is 0, must be at least 1"):
        build(0)
