"""What a task is: it makes pairs of source and target text, and judges an output."""

import random
from dataclasses import dataclass

from numpy_impl import checks
from numpy_impl.text.splits import SPLITS, split_of

EVALUATION_SIZE = 2000
MAX_DRAWS = 10_000  # a split that is met less often than this is taken to be empty


@dataclass(frozen=True)
class Example:
    """One pair of texts, both normalised. `form` says which kind of example it is, for reports."""

    source: str
    target: str
    form: str = ""


class Task:
    """Base of all tasks. A task says how to `draw` a subject and how to make an `example` of it.

    The *subject* decides the split: a date, however it is written, or the source text itself.

    Attributes:
        name: the name in the registry.
        options: the dict of what `make_task` was given besides the name; a checkpoint keeps it.
        vocabulary: the one `Vocabulary` of source and target.
        max_source_length: the most ids of a source, its end symbol included.
        max_target_length: the most ids of a target, its end symbol included.
    """

    def __init__(self, name, options, vocabulary, max_source_length, max_target_length):
        self.name = name
        self.options = options
        self.vocabulary = vocabulary
        self.max_source_length = max_source_length
        self.max_target_length = max_target_length

    def draw(self, rng):
        """Return a random subject, of any split. `rng` is a `random.Random`."""
        raise NotImplementedError

    def example(self, subject, rng):
        """Return an `Example` of `subject`; `rng` chooses among several."""
        raise NotImplementedError

    def normalise(self, text):
        """Return `text` as the model is to read it.

        Raises:
            ValueError: the text can't be a source of this task.
        """
        raise NotImplementedError

    def is_correct(self, source, target, output):
        """Return whether `output` solves `source`; here: whether it is `target` exactly."""
        return output == target

    def encode_source(self, text):
        """Return the ids of `text`, normalised, with the end symbol: a list of int.

        Raises:
            ValueError: the text is empty, too long, or holds a symbol that the vocabulary does not know.
        """
        text = self.normalise(text)
        if not text:
            raise ValueError("text is empty, must hold at least one symbol")
        ids = [*self.vocabulary.encode(text), self.vocabulary.EOS]
        if len(ids) > self.max_source_length:
            raise ValueError(
                f"text is {text!r}, {len(ids) - 1} symbols long, must have at most {self.max_source_length - 1} "
                f"in the task {self.name}"
            )
        return ids

    def sample(self, split, rng):
        """Return a random `Example` of `split`.

        Raises:
            ValueError: `split` is unknown, or no example of it turns up.
        """
        checks.choice("split", split, SPLITS)
        for _ in range(MAX_DRAWS):
            subject = self.draw(rng)
            if split_of(str(subject)) == split:
                return self.example(subject, rng)
        raise ValueError(f"the task {self.name} with options {self.options} is too small: it has no {split} examples")

    def examples(self, split, limit=None):
        """Return the first `limit` (default 2000) different examples of `split`, always the same in the same order.

        A task that has fewer gives those that it has.

        Raises:
            ValueError, TypeError: `split` is unknown or has no examples, or `limit` is below 1 or no int.
        """
        limit = EVALUATION_SIZE if limit is None else limit
        checks.positive_int("limit", limit)
        rng = random.Random(f"{self.name} {split}")
        found = {}
        for _ in range(20 * limit):
            found[self.sample(split, rng)] = None
            if len(found) == limit:
                break
        return list(found)
