"""Batches: examples of similar length, as arrays of ids padded to the longest."""

import random
from dataclasses import dataclass

import numpy as np

from numpy_impl import checks
from numpy_impl.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Batch:
    """B examples as arrays of int64, filled up with padding (id 0).

    Attributes:
        source_ids: (B, Ts), each row ends with the end symbol.
        target_in_ids: (B, Tt), what the decoder is given: beginning symbol, then the target.
        target_out_ids: (B, Tt), what it is to say: the target, then the end symbol.
        target_count: how many of `target_out_ids` are not padding; the summed loss is divided by it.
        examples: the tuple of the B examples as text.
    """

    source_ids: np.ndarray
    target_in_ids: np.ndarray
    target_out_ids: np.ndarray
    target_count: int
    examples: tuple


def make_batch(vocabulary, examples):
    """Return the `Batch` of a sequence of examples.

    Raises:
        ValueError: there are no examples, or a text holds a symbol that the vocabulary does not know.
    """
    if not examples:
        raise ValueError("examples is empty, must hold at least one")
    sources = [vocabulary.encode(example.source) + [Vocabulary.EOS] for example in examples]
    targets = [vocabulary.encode(example.target) for example in examples]
    return Batch(
        source_ids=pad(sources),
        target_in_ids=pad([[Vocabulary.BOS] + target for target in targets]),
        target_out_ids=pad([target + [Vocabulary.EOS] for target in targets]),
        target_count=sum(map(len, targets)) + len(targets),
        examples=tuple(examples),
    )


def pad(rows):
    """Return lists of ids as one int64 array (B, T), T being the longest; short rows end in padding."""
    ids = np.full((len(rows), max(map(len, rows))), Vocabulary.PAD, dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = row
    return ids


class TrainingBatches:
    """The endless training batches of a task.

    `batch_at(step)` depends on task, seed, batch size and step alone. So a resumed run needs no state but its step, and
    both twins see the same batches, in whatever order they ask for them.

    To put similar lengths together, the examples of `window` neighbouring steps are drawn at once, sorted by length and
    cut into batches, whose order is then shuffled. The last window is kept, so that it is drawn once, not at each step.

    Args:
        task: the `Task`.
        batch_size: B, at least 1.
        seed: an int.
        window: how many steps share one drawing. 1 mixes all lengths; more saves padding.

    Raises:
        ValueError, TypeError: `batch_size` or `window` is below 1, or no int.
    """

    def __init__(self, task, batch_size=64, seed=0, window=8):
        checks.positive_int("batch_size", batch_size)
        checks.positive_int("window", window)
        self.task = task
        self.batch_size = batch_size
        self.seed = seed
        self.window = window
        self._drawn = (None, [])

    def batch_at(self, step):
        """Return the `Batch` of `step` (0, 1, ...).

        Raises:
            ValueError: `step` is negative.
        """
        if step < 0:
            raise ValueError(f"step is {step}, must be at least 0")
        number, place = divmod(step, self.window)
        drawn_number, batches = self._drawn
        if drawn_number != number:
            batches = self._draw(number)
            self._drawn = (number, batches)
        return make_batch(self.task.vocabulary, batches[place])

    def _draw(self, number):
        rng = random.Random(f"batches {self.seed} {number}")
        examples = [self.task.sample("train", rng) for _ in range(self.window * self.batch_size)]
        batches = cut(sorted(examples, key=lengths), self.batch_size)
        rng.shuffle(batches)
        return batches


def evaluation_batches(task, split, batch_size=64, limit=None):
    """Return the list of batches of `task.examples(split, limit)`, sorted by length; the last may be smaller.

    Raises:
        ValueError, TypeError: `split` is unknown; `batch_size` or `limit` is below 1, or no int.
    """
    checks.positive_int("batch_size", batch_size)
    examples = sorted(task.examples(split, limit), key=lengths)
    return [make_batch(task.vocabulary, part) for part in cut(examples, batch_size)]


def lengths(example):
    """Return the lengths of source and target in characters: the key by which examples are sorted."""
    return len(example.source), len(example.target)


def cut(items, size):
    """Return `items` as consecutive lists of `size`; the last may be shorter."""
    return [items[start:start + size] for start in range(0, len(items), size)]
