"""training/step.py: what one step feeds the model with, and what it leaves behind, in both twins."""

import numpy as np
import pytest
from scipy.special import log_softmax

from numpy_impl.text.vocabulary import Vocabulary
from parity_tests.harness.small import gradients, small_trainer
from parity_tests.side_by_side import TWINS

each_twin = pytest.mark.parametrize("name", TWINS)


def small(name):
    """A trainer whose loss is easily written by hand, and its first batch."""
    trainer = small_trainer(name, sizes={"dropout": 0.0}, label_smoothing=0.0)
    return trainer, trainer.batches.batch_at(0)


def by_hand(model, batch, target_count):
    """The NumPy model's loss: each symbol is predicted from those before it, the first from the begin symbol."""
    begin = np.full((len(batch.examples), 1), Vocabulary.BOS)
    seen = np.concatenate([begin, batch.target_out_ids[:, :-1]], axis=1)
    log_probabilities = log_softmax(model(batch.source_ids, seen), axis=-1)
    total = 0.0
    for row, targets in zip(log_probabilities, batch.target_out_ids):
        total -= sum(row[place, target] for place, target in enumerate(targets) if target != Vocabulary.PAD)
    return total / target_count


@each_twin
@pytest.mark.parametrize("share", [1, 3])
def test_the_loss_by_hand(name, share):
    """A target count that is three times the batch's own gives a third of the loss."""
    (trainer, batch), (reader, _) = small(name), small("numpy")
    count = share * batch.target_count
    expected = by_hand(reader.model, batch, count)
    for function in (trainer.twin.accumulate_gradients, trainer.twin.evaluate_loss):
        assert function(trainer.model, trainer.criterion, batch, count) == pytest.approx(expected, rel=1e-12)


def test_gradients_are_added_and_evaluation_leaves_them_alone():
    trainer, batch = small("numpy")
    step = trainer.twin.accumulate_gradients
    step(trainer.model, trainer.criterion, batch, batch.target_count)
    once = gradients(trainer)
    trainer.twin.evaluate_loss(trainer.model, trainer.criterion, batch, batch.target_count)
    step(trainer.model, trainer.criterion, batch, batch.target_count)
    for path, gradient in gradients(trainer).items():
        np.testing.assert_allclose(gradient, 2 * once[path], rtol=1e-12, atol=1e-15, err_msg=path)
