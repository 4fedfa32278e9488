"""layers/normalization.py: parity, oracles, torch's own modules, running statistics, shapes, extreme inputs, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from parity_tests.harness import oracles
from parity_tests.harness.against.normalization import OTHERS
from parity_tests.harness.cases import Case, pairs, state_of
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.linear import rows
from parity_tests.harness.catalog.normalization import CASES, LAYER_NORM_OMITTED, draw_running_statistics, layer
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


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@pytest.mark.parametrize("options", [{}, {"eps": 0.1, "momentum": 0.3}], ids=str)
def test_running_statistics_are_those_of_torch(options, rng):
    """Three batches in training, then one in evaluation, after which nothing has moved."""
    ours = NUMPY.layers.normalization.BatchNorm1d(5, **options, dtype="float64")
    theirs = torch.nn.BatchNorm1d(5, **options, dtype=torch.float64)
    for training in (True, True, True, False):
        x = 3 + 2 * rng.standard_normal((4, 3, 5))
        y = ours.train(training)(x)
        expected = theirs.train(training)(torch.from_numpy(x).reshape(12, 5)).reshape(4, 3, 5)
        np.testing.assert_allclose(y, expected.detach(), rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(ours.running_mean, theirs.running_mean, rtol=1e-14)
        np.testing.assert_allclose(ours.running_variance, theirs.running_var, rtol=1e-14)


@pytest.mark.parametrize("name, omitted", [("LayerNorm", LAYER_NORM_OMITTED), ("RMSNorm", {})])
@given(shape=st.lists(st.integers(1, 9), max_size=3), width=st.integers(1, 9))
@example(shape=[2, 1], width=5)
@example(shape=[], width=5)
def test_shapes(name, omitted, shape, width):
    """eps 0.1: without it the norm of 1 or 2 features is ±1, and its gradient vanishes in a difference."""
    case = Case(f"normalization: any {name}", layer(name, width, eps=0.1), rows(*shape, width), omitted=omitted)
    case.check("plain")
    case.check("lean")


@given(leading=st.lists(st.integers(1, 4), max_size=1), count=st.integers(1, 9), width=st.integers(1, 9),
       training=st.booleans())
def test_shapes_of_batch_norm(leading, count, width, training):
    """4 rows at least in training: of 1 or 2, see `test_shapes`."""
    count += 3 if training else 0
    case = Case("normalization: any BatchNorm1d", layer("BatchNorm1d", width), rows(*leading, count, width),
                prepare=draw_running_statistics, training=training)
    case.check("plain")
    case.check("lean")


@TWINS
def test_two_rows_move_the_running_statistics(twin, array):
    """Their variance is unbiased: 2 and 8, not 1 and 4."""
    norm = twin.layers.normalization.BatchNorm1d(2, momentum=0.5, dtype="float64")
    norm(array(np.array([[1.0, 2.0], [3.0, 6.0]])))
    assert np.array_equal(np.asarray(norm.running_mean), [1, 2])
    assert np.array_equal(np.asarray(norm.running_variance), [1.5, 4.5])


@TWINS
def test_one_row_is_its_own_mean(twin, array, rng):
    """Of the primitive; the module refuses it."""
    x, gamma, beta = (array(rng.standard_normal(shape)) for shape in ((1, 5), 5, 5))
    y, mean, variance = twin.layers.normalization.batch_norm_training(x, gamma, beta, 1e-5)[:3]
    assert np.array_equal(mean, x[0]) and not np.any(np.asarray(variance)) and np.array_equal(y[0], beta)


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
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "BatchNorm1d"])
def test_initial_values(name, twin, array):
    """gamma and variance are 1, beta and mean 0: y is x_hat."""
    state = state_of(getattr(twin.layers.normalization, name)(5))
    for path, value in state.items():
        assert np.array_equal(value, np.full(5, path in ("gamma", "running_variance"))), path


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


@TWINS
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "BatchNorm1d"])
def test_eps_and_momentum_are_plain_numbers(name, twin, array):
    """A NumPy scalar would promote float32 to float64."""
    build = getattr(twin.layers.normalization, name)
    y = build(5, np.float64(1e-5))(array(np.eye(4, 5, dtype="float32")))
    assert str(y.dtype).endswith("float32")
    with pytest.raises(ValueError, match="eps is -1, must be at least 0"):
        build(5, -1)
    with pytest.raises(TypeError, match="eps is '0', must be a number"):
        build(5, "0")
    if name == "BatchNorm1d":
        assert type(build(5, momentum=np.float64(1)).momentum) is float
        with pytest.raises(ValueError, match="momentum is 1.5, must be at least 0 and at most 1"):
            build(5, momentum=1.5)


@TWINS
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_takes_two_or_three_axes(training, twin, array):
    norm = twin.layers.normalization.BatchNorm1d(5, dtype="float64").train(training)
    for shape in ((5,), (2, 3, 4, 5)):
        with pytest.raises(ValueError, match="x has shape .*, must have 2 or 3 axes"):
            norm(array(np.zeros(shape)))
