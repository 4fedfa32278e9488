"""Copy, reverse and sort: the smallest tasks that need attention."""

from numpy_impl.text.task import Example, Task
from numpy_impl.text.vocabulary import Vocabulary

# What each task makes of a source text.
SOLUTIONS = {
    "copy": lambda source: source,
    "reverse": lambda source: source[::-1],
    "sort": lambda source: "".join(sorted(source)),
}


class SequenceTask(Task):
    """Turn a random sequence of symbols into its copy, its reverse or its sorted form.

    Args:
        name: "copy", "reverse" or "sort".
        alphabet: the symbols, one character each; "sort" orders them by their code points.
        min_length, max_length: the range of the lengths; each length is drawn equally often.
        vocabulary: that of a checkpoint; by default the alphabet.

    Raises:
        ValueError: the alphabet has a repeated or blank character or fewer than two, or the lengths are out of order.
    """

    def __init__(self, name, alphabet="abcdefghij", min_length=1, max_length=12, vocabulary=None):
        if len(alphabet) < 2 or len(set(alphabet)) < len(alphabet) or any(map(str.isspace, alphabet)):
            raise ValueError(f"alphabet is {alphabet!r}, must be two or more different characters, none blank")
        if not 1 <= min_length <= max_length:
            raise ValueError(f"min_length..max_length is {min_length}..{max_length}, must begin at 1 or more")
        self.alphabet = alphabet
        self.min_length = min_length
        self.max_length = max_length
        super().__init__(
            name=name,
            options={"alphabet": alphabet, "min_length": min_length, "max_length": max_length},
            vocabulary=vocabulary or Vocabulary(alphabet, f"the task {name}"),
            max_source_length=max_length + 1,
            max_target_length=max_length + 1,
        )

    def draw(self, rng):
        """Return a random source text."""
        return "".join(rng.choices(self.alphabet, k=rng.randint(self.min_length, self.max_length)))

    def example(self, subject, rng):
        """Return the source text `subject` with its solution."""
        return Example(subject, SOLUTIONS[self.name](subject), self.name)

    def normalise(self, text):
        """Return `text` without blanks."""
        return "".join(text.split())
