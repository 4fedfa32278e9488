"""Batches: padding, shifting, bucketing, and a training batch as a function of its step."""

import numpy as np
import pytest

from numpy_impl.text.batches import TrainingBatches, evaluation_batches, make_batch
from numpy_impl.text.splits import split_of
from numpy_impl.text.task import Example
from numpy_impl.text.tasks import make_task
from numpy_impl.text.vocabulary import Vocabulary

DATES = make_task("dates")
COPY = make_task("copy")


def same(left, right):
    arrays = ("source_ids", "target_in_ids", "target_out_ids")
    return left.examples == right.examples and left.target_count == right.target_count and all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in arrays)


def test_arrays_of_a_small_batch():
    vocabulary = Vocabulary("ab", "a test")
    batch = make_batch(vocabulary, [Example("ab", "b"), Example("b", "aba")])
    assert batch.source_ids.tolist() == [[3, 4, 2], [4, 2, 0]]
    assert batch.target_in_ids.tolist() == [[1, 4, 0, 0], [1, 3, 4, 3]]
    assert batch.target_out_ids.tolist() == [[4, 2, 0, 0], [3, 4, 3, 2]]
    assert batch.target_count == 6
    assert batch.examples == (Example("ab", "b"), Example("b", "aba"))
    assert {batch.source_ids.dtype, batch.target_in_ids.dtype, batch.target_out_ids.dtype} == {np.dtype(np.int64)}


@pytest.mark.parametrize("name", ["arithmetic", "dates", "dates-full"])
def test_every_row_says_its_example(name):
    task = make_task(name)
    batch = TrainingBatches(task, batch_size=32, seed=4).batch_at(5)
    assert len(batch.examples) == 32
    for example, source, shifted, target in zip(
            batch.examples, batch.source_ids, batch.target_in_ids, batch.target_out_ids):
        assert task.vocabulary.decode(source) == example.source
        assert task.vocabulary.decode(shifted) == task.vocabulary.decode(target) == example.target
        assert (source == Vocabulary.EOS).sum() == (target == Vocabulary.EOS).sum() == 1
        assert shifted[0] == Vocabulary.BOS and Vocabulary.EOS not in shifted
    assert batch.target_count == (batch.target_out_ids != Vocabulary.PAD).sum()


def test_a_batch_depends_on_its_step_alone():
    straight = TrainingBatches(DATES, seed=3)
    forward = [straight.batch_at(step) for step in range(20)]
    resumed = TrainingBatches(make_task("dates"), seed=3)
    for step in (17, 2, 19, 8, 7, 0, 17):
        assert same(resumed.batch_at(step), forward[step])


def test_seeds_and_steps_differ():
    batches, other = TrainingBatches(COPY, seed=0), TrainingBatches(COPY, seed=1)
    seen = {tuple(source.batch_at(step).examples) for source in (batches, other) for step in range(20)}
    assert len(seen) == 40


def test_neighbouring_seeds_and_windows_are_not_confused():
    assert not same(TrainingBatches(COPY, seed=1, window=1).batch_at(23),
                    TrainingBatches(COPY, seed=12, window=1).batch_at(3))


def test_training_never_meets_a_held_out_item():
    batches = TrainingBatches(DATES)
    held_out = {example.target for split in ("validation", "test") for example in DATES.examples(split)}
    trained = {example.target for step in range(40) for example in batches.batch_at(step).examples}
    assert len(trained) > 2000 and not trained & held_out
    assert {split_of(target) for target in trained} == {"train"}


def test_a_window_holds_what_one_drawing_holds():
    """Bucketing only sorts: a window of 8 batches has the examples that one batch of eight times the size has."""
    window = TrainingBatches(DATES, batch_size=16, window=8)
    whole = TrainingBatches(DATES, batch_size=128, window=1)
    assert sorted(example.source for step in range(8, 16) for example in window.batch_at(step).examples) == sorted(
        example.source for example in whole.batch_at(1).examples)


def test_bucketing_saves_padding():
    def padding(window):
        batches = TrainingBatches(DATES, window=window)
        sources = [batches.batch_at(step).source_ids for step in range(40)]
        return sum((ids == 0).sum() for ids in sources) / sum(ids.size for ids in sources)

    assert padding(window=8) < 0.5 * padding(window=1)


def test_batches_of_a_window_are_shuffled():
    batches = TrainingBatches(DATES)
    widths = [batches.batch_at(step).source_ids.shape[1] for step in range(40)]
    assert any(widths[i:i + 8] != sorted(widths[i:i + 8]) for i in range(0, 40, 8))
    longest_at = {int(np.argmax(widths[i:i + 8])) for i in range(0, 40, 8)}
    assert len(longest_at) > 1


def test_evaluation_batches_hold_the_examples_once():
    batches = evaluation_batches(DATES, "test", batch_size=32, limit=100)
    assert [len(batch.examples) for batch in batches] == [32, 32, 32, 4]
    examples = [example for batch in batches for example in batch.examples]
    assert set(examples) == set(DATES.examples("test", 100)) and len(examples) == 100
    widths = [batch.source_ids.shape[1] for batch in batches]
    assert widths == sorted(widths)
    assert all(same(a, b) for a, b in zip(batches, evaluation_batches(make_task("dates"), "test", 32, 100)))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="batch_size is 0"):
        TrainingBatches(COPY, batch_size=0)
    with pytest.raises(TypeError, match="window is 1.5"):
        TrainingBatches(COPY, window=1.5)
    with pytest.raises(ValueError, match="step is -1"):
        TrainingBatches(COPY).batch_at(-1)
    with pytest.raises(ValueError, match="examples is empty"):
        make_batch(COPY.vocabulary, [])
    with pytest.raises(ValueError, match="split is 'dev'"):
        evaluation_batches(COPY, "dev")
    with pytest.raises(ValueError, match="batch_size is -1"):
        evaluation_batches(COPY, "test", -1)
