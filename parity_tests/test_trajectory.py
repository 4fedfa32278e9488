"""Whole training runs of both twins, step by step: dropout, label smoothing, Noam, AdamW and clipping."""

import math

import numpy as np
import pytest

import numpy_impl.training.gradients
import numpy_impl.training.optimizers
from numpy_impl.models.transformer import Transformer
from parity_tests.harness.judge import FLOAT32_BOUND, error_in_eps
from parity_tests.harness.small import ZERO_GRADIENT, gradients, largest_errors, moments, small_trainer, weights

STEPS = 320
LOSSES_WITHIN, VALUES_WITHIN = 1e-9, 1e-8    # absolute; relative
# Adam turns the rounding in a gradient that is 0 by analysis into steps of at most lr * |rounding| / eps.
ZERO_WITHIN = 1e-7


def steps(trainers, count):
    """Train in step. Returns for each trainer its records, one a step."""
    records = [[trainer.train_step() for trainer in trainers] for _ in range(count)]
    return list(zip(*records))


def difference(ours, theirs, name="loss"):
    """The largest difference of a number in two lists of records; NaN counts as infinity."""
    return max(np.nan_to_num(abs(one[name] - other[name]), nan=math.inf) for one, other in zip(ours, theirs))


# float64


@pytest.fixture(scope="module")
def trajectory():
    trainers = [small_trainer(twin, steps=STEPS, warmup=60) for twin in ("numpy", "torch")]
    return trainers, steps(trainers, STEPS)


def test_losses_agree_throughout(trajectory):
    _, (ours, theirs) = trajectory
    assert len(ours) == len(theirs) == STEPS
    assert difference(ours, theirs) <= LOSSES_WITHIN
    assert difference(ours, theirs, "gradient_norm") <= LOSSES_WITHIN
    assert [record["learning_rate"] for record in ours] == [record["learning_rate"] for record in theirs]


def test_weights_and_moments_agree_at_the_end(trajectory):
    trainers, _ = trajectory
    for values in (weights, moments):
        relative, absolute = largest_errors(*[values(trainer) for trainer in trainers])
        assert relative <= VALUES_WITHIN
        assert absolute <= ZERO_WITHIN


def test_the_run_is_worth_comparing(trajectory):
    """Each thing that the trajectory is to compare takes place, and the model learns."""
    trainers, (ours, _) = trajectory
    losses = [record["loss"] for record in ours]
    assert np.mean(losses[-20:]) < 0.6 * np.mean(losses[:20])
    clipped = sum(record["gradient_norm"] > trainers[0].settings.max_norm for record in ours)
    assert STEPS / 10 < clipped < STEPS
    rates = [record["learning_rate"] for record in ours]
    assert rates.index(max(rates)) == 59 and rates[-1] < max(rates)
    assert trainers[0].settings.label_smoothing > 0 and trainers[0].settings.optimizer == "adamw"
    assert any(module.p > 0 for module in trainers[0].model.modules() if hasattr(module, "p"))
    begin = weights(small_trainer("numpy", steps=STEPS, warmup=60))
    assert all((begin[path] != array).any() for path, array in weights(trainers[0]).items())


# The comparison can fail


def without_bias_correction(monkeypatch):
    correct = numpy_impl.training.optimizers.adam_direction
    monkeypatch.setattr(numpy_impl.training.optimizers, "adam_direction",
                        lambda gradient, first, second, step, *rest: correct(gradient, first, second, 1000, *rest))


def with_the_same_masks_at_each_step(monkeypatch):
    correct = Transformer.set_dropout
    monkeypatch.setattr(Transformer, "set_dropout",
                        lambda self, seed, step, first_row=0: correct(self, seed, 0, first_row))


def without_the_constant_of_clipping(monkeypatch):
    correct = numpy_impl.training.gradients.global_norm
    monkeypatch.setattr(numpy_impl.training.gradients, "global_norm", lambda pairs: correct(pairs) - 1e-6)


def with_decay_of_biases_too(monkeypatch):
    correct = numpy_impl.training.optimizers.AdamW.update
    monkeypatch.setattr(numpy_impl.training.optimizers.AdamW, "update",
                        lambda self, data, gradient, m, v, weight_decay: correct(self, data, gradient, m, v, 0.05))


@pytest.mark.parametrize("plant", [without_bias_correction, with_the_same_masks_at_each_step,
                                   without_the_constant_of_clipping, with_decay_of_biases_too],
                         ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_seen(plant, monkeypatch):
    plant(monkeypatch)
    ours, theirs = steps([small_trainer(twin) for twin in ("numpy", "torch")], 30)
    assert not difference(ours, theirs) <= LOSSES_WITHIN


# float32


def test_float32_gradients_agree_at_equal_weights():
    """Along a run of the NumPy twin in float32: torch, given its weights, has its gradients.

    Both are measured against torch in float64; ours may be off by 4 times as much as torch's own float32.
    """
    ours, theirs, exact = [small_trainer(twin, dtype=dtype, steps=120)
                           for twin, dtype in (("numpy", "float32"), ("torch", "float32"), ("torch", "float64"))]
    for _ in range(6):
        for trainer in (theirs, exact):
            trainer.step = ours.step
            for path, array in weights(ours).items():
                trainer.twin.to_numpy(trainer.model.get_parameter(path))[...] = array
        records = [trainer.train_step() for trainer in (ours, theirs, exact)]
        assert records[0]["loss"] == pytest.approx(records[2]["loss"], rel=1e-6)
        eps = np.finfo("float32").eps
        reference = gradients(exact)
        errors = [np.array([error_in_eps(array, reference[path], eps) for path, array in gradients(trainer).items()
                            if not path.endswith(ZERO_GRADIENT)]) for trainer in (ours, theirs)]
        assert all(array.dtype == np.float32 for array in gradients(ours).values())
        # Single small parameters may be lucky in one twin: each is judged by the worst of torch's.
        assert (errors[0] <= max(FLOAT32_BOUND, 4 * errors[1].max())).all()
        assert np.median(errors[0]) <= max(FLOAT32_BOUND, 4 * np.median(errors[1]))
        for _ in range(19):
            ours.train_step()


def test_float32_runs_part_slowly(record_property):
    """Free-running, rounding is amplified from step to step: close at first, finite always."""
    ours, theirs = steps([small_trainer(twin, dtype="float32", steps=120) for twin in ("numpy", "torch")], 120)
    apart = [difference([one], [other]) for one, other in zip(ours, theirs)]
    record_property("largest difference of the losses", float(max(apart)))
    assert max(apart[:10]) <= 1e-5
    assert all(math.isfinite(record[name]) for records in (ours, theirs) for record in records
               for name in ("loss", "gradient_norm"))
