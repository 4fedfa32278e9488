"""layers/losses.py: parity, oracles, torch's own cross-entropy, ignored targets, parts of a batch, extremes, errors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from parity_tests.harness import oracles
from parity_tests.harness.against.losses import OTHERS, cross_entropy
from parity_tests.harness.cases import Case, pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.losses import CASES, NUM_CLASSES, OMITTED, SMOOTHED_OMITTED
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize(
    "twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])
PLAIN = pytest.mark.parametrize("plain", [True, False], ids=["plain", "lean"])


def named(name):
    return all_cases()[f"losses: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), num_classes=st.integers(2, 6), data=st.data())
def test_any_shape_smoothing_and_ignored_targets(shape, num_classes, data):
    ignore_index = data.draw(st.sampled_from([-100, -1, 0, num_classes - 1, 1000]))
    label_smoothing = data.draw(st.sampled_from([0.0, 0.1, 0.9]))
    ignored_part = data.draw(st.sampled_from([0.0, 0.4]))

    def inputs(rng, dtype):
        targets = rng.integers(0, num_classes, shape)
        targets[rng.random(shape) < ignored_part] = ignore_index
        targets.flat[0] = (ignore_index + 1) % num_classes if 0 <= ignore_index < num_classes else 0
        return {"logits": rng.standard_normal((*shape, num_classes)).astype(dtype), "targets": targets}

    case = Case("losses: any",
                lambda twin, dtype, rng: twin.layers.losses.CrossEntropyLoss(ignore_index, label_smoothing), inputs,
                omitted=SMOOTHED_OMITTED if label_smoothing else OMITTED)
    case.check("plain")
    case.check("lean")
    oracles.check_against(case, cross_entropy(ignore_index=ignore_index, label_smoothing=label_smoothing))


@pytest.mark.parametrize("form", ["plain", "lean"])
def test_evaluation_mode_changes_nothing(form):
    case = named("CrossEntropyLoss with padding")
    dataclasses.replace(case, training=False).check(form)


# What the loss is


@TWINS
def test_equal_logits_cost_the_logarithm_of_the_number_of_classes(twin, as_input):
    """A model that knows nothing starts there, with and without smoothing; a first loss far from it is a bug."""
    for label_smoothing in (0.0, 0.2):
        loss = twin.layers.losses.CrossEntropyLoss(label_smoothing=label_smoothing)(
            as_input(np.full((2, 3, 7), 5.0)), as_input(np.arange(6).reshape(2, 3)))
        assert loss.shape == () and abs(float(loss) - np.log(7)) < 1e-15


@PLAIN
def test_the_gradient_is_what_the_model_says_minus_what_it_should_say(plain, rng):
    logits, targets = rng.standard_normal((4, 7)), np.array([0, 3, 6, 3])
    layer = NUMPY.layers.losses.CrossEntropyLoss(label_smoothing=0.1).use_plain(plain)
    layer(logits, targets)
    said = torch.softmax(torch.from_numpy(logits), -1).numpy()
    wanted = 0.9 * np.eye(7)[targets] + 0.1 / 7
    np.testing.assert_allclose(layer.backward(), (said - wanted) / 4, atol=1e-16)


@PLAIN
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d_loss", [1.0, 3, np.float64(2.5), np.float32(2.5)])
def test_the_upstream_gradient_scales_and_never_promotes(d_loss, dtype, plain, rng):
    logits, targets = rng.standard_normal((4, 7)).astype(dtype), np.array([0, 3, 6, 3])
    layer = NUMPY.layers.losses.CrossEntropyLoss().use_plain(plain)
    loss = layer(logits, targets)
    once = layer.backward()
    layer(logits, targets)
    scaled = layer.backward(d_loss)
    assert loss.dtype == once.dtype == scaled.dtype == dtype
    np.testing.assert_allclose(scaled, once * np.asarray(d_loss, dtype), rtol=1e-6)


# Ignored targets


@PLAIN
@pytest.mark.parametrize("ignore_index, label_smoothing", [(-100, 0.0), (-100, 0.2), (0, 0.0), (0, 0.2)])
def test_ignored_targets_take_no_part(ignore_index, label_smoothing, plain, rng):
    """Neither loss nor gradient changes when the logits of ignored targets do, and those get no gradient."""
    layer = NUMPY.layers.losses.CrossEntropyLoss(ignore_index, label_smoothing).use_plain(plain)
    logits, targets = rng.standard_normal((2, 4, 7)), rng.integers(1, 7, (2, 4))
    ignored = np.array([[False, True, False, True], [True, False, False, True]])
    targets[ignored] = ignore_index
    loss, d_logits = layer(logits, targets), layer.backward()
    changed = np.where(ignored[..., None], rng.standard_normal((2, 4, 7)) * 100, logits)
    assert layer(changed, targets) == loss
    assert np.array_equal(layer.backward(), d_logits)
    assert not d_logits[ignored].any() and d_logits[~ignored].all()


@TWINS
def test_nothing_to_predict_is_an_error(twin, as_input):
    layer = twin.layers.losses.CrossEntropyLoss(ignore_index=0)
    for shape in ((2, 3), (0, 3), (0,)):
        logits, targets = as_input(np.zeros((*shape, 7))), as_input(np.zeros(shape, "int64"))
        with pytest.raises(ValueError, match="targets are all ignored or empty, at least one must count"):
            layer(logits, targets)


# Parts of a batch


@PLAIN
def test_parts_add_up_to_the_batch(plain, rng):
    """With the count of the whole batch, for parts of different padding; a part without any target adds nothing."""
    layer = NUMPY.layers.losses.CrossEntropyLoss(ignore_index=0, label_smoothing=0.1).use_plain(plain)
    logits = rng.standard_normal((4, 5, 7))
    targets = np.array([[1, 2, 3, 4, 5], [6, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    loss, d_logits = layer(logits, targets), layer.backward()
    losses, parts = [], []
    for part in (slice(0, 1), slice(1, 3), slice(3, 4)):
        losses.append(layer(logits[part], targets[part], target_count=8))
        parts.append(layer.backward())
    np.testing.assert_allclose(sum(losses), loss, rtol=1e-15)
    np.testing.assert_allclose(np.concatenate(parts), d_logits, rtol=1e-14, atol=1e-17)


# Extreme inputs


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy with smoothing"])
@pytest.mark.parametrize("factor, shift", [(1e4, 0), (1e-4, 0), (1, 1e4), (1, -1e4), (0, 5)])
def test_extreme_inputs(name, factor, shift):
    case = named(name)

    def inputs(rng, dtype):
        values = case.inputs(rng, dtype)
        return {**values, "logits": (values["logits"] * factor + shift).astype(dtype)}

    oracles.check_extreme(dataclasses.replace(case, inputs=inputs))


@PLAIN
def test_classes_that_are_masked_out(plain, rng):
    """Logits of -inf are allowed for classes that are never the target, without smoothing; as torch's."""
    logits, targets = rng.standard_normal((3, NUM_CLASSES)), np.array([1, 2, 6])
    logits[:, 3:5] = -np.inf
    tensor = torch.from_numpy(logits).requires_grad_()
    expected = F.cross_entropy(tensor, torch.from_numpy(targets))
    expected.backward()
    layer = NUMPY.layers.losses.CrossEntropyLoss().use_plain(plain)
    np.testing.assert_allclose(layer(logits, targets), expected.item(), rtol=1e-15)
    np.testing.assert_allclose(layer.backward(), tensor.grad, rtol=1e-14, atol=1e-16)
    smoothed = NUMPY.layers.losses.CrossEntropyLoss(label_smoothing=0.1).use_plain(plain)
    assert smoothed(logits, targets) == np.inf


# Errors


@TWINS
def test_errors_name_the_argument(twin, as_input):
    build = twin.layers.losses.CrossEntropyLoss
    logits, targets = as_input(np.zeros((2, 3, 7))), np.zeros((2, 3), "int64")
    for bad in (7, -1, -101):
        with pytest.raises(ValueError, match=f"targets holds the id {bad}, must be at least 0 and below 7"):
            build()(logits, as_input(np.where(np.eye(2, 3), bad, targets)))
    with pytest.raises(ValueError, match=r"targets has shape \(3, 2\), must be \(2, 3\)"):
        build()(logits, as_input(targets.reshape(3, 2)))
    with pytest.raises(TypeError, match="targets has dtype float64, must be int32 or int64"):
        build()(logits, as_input(targets.astype("float64")))
    with pytest.raises(TypeError, match="targets is a list"):
        build()(logits, targets.tolist())
    with pytest.raises(TypeError, match="logits has dtype int64"):
        build()(as_input(np.zeros((2, 3, 7), "int64")), as_input(targets))
    for target_count in (0, -1):
        with pytest.raises(ValueError, match=f"target_count is {target_count}, must be at least 1"):
            build()(logits, as_input(targets), target_count)
    with pytest.raises(TypeError, match="target_count is 2.5, must be an int"):
        build()(logits, as_input(targets), 2.5)
    for label_smoothing in (-0.1, 1, float("nan")):
        with pytest.raises(ValueError, match="label_smoothing is .*, must be at least 0 and below 1"):
            build(label_smoothing=label_smoothing)


@TWINS
def test_label_smoothing_is_a_plain_number(twin, as_input):
    """A NumPy scalar would promote float32 to float64."""
    logits, targets = as_input(np.eye(2, 3, dtype="float32")), as_input(np.array([0, 1]))
    assert np.asarray(twin.layers.losses.CrossEntropyLoss(label_smoothing=np.float64(0.1))(logits, targets)).dtype == (
        "float32")
    with pytest.raises(TypeError, match="label_smoothing is None, must be a number"):
        twin.layers.losses.CrossEntropyLoss(label_smoothing=None)


def test_a_nan_in_an_ignored_row_shows_in_both_forms():
    """As in torch: the loss does not see it, the gradient of that row does."""
    logits = np.array([[1.0, 2.0], [np.nan, 0.0]])
    for plain in (True, False):
        criterion = NUMPY.layers.losses.CrossEntropyLoss().use_plain(plain)
        assert np.isfinite(criterion(logits, np.array([1, -100])))
        d_logits = criterion.backward()
        assert np.isfinite(d_logits[0]).all() and np.isnan(d_logits[1]).all()
