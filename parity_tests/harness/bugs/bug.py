"""A bug of the catalogue: one small change of the source of one function, and what is known about it."""

import dataclasses
import difflib
import pkgutil

from parity_tests.harness.planted import edited_file, planted


@dataclasses.dataclass(frozen=True)
class Bug:
    """A realistic mistake and its story.

    name: lower case, words joined by hyphens; it begins with the primitive or class.
    title: what is wrong, in one short sentence.
    function: "module:qualified.name" of what it is planted in.
    old, new: what the source says (exactly once in the function), and what somebody wrote instead.
    looks: what it looks like. why: why people make it. training: what it does to training.
    seen: ((URL, what was found there), ...), public threads and projects where this mistake was made.
    case: the name of a case that notices; "" where there is none, and the tests of the file notice.
    form: the form of the case in which it does.
    """

    name: str
    title: str
    function: str
    old: str
    new: str
    looks: str
    why: str
    training: str
    seen: tuple = ()
    case: str = ""
    form: str = "plain"

    def __str__(self):
        return self.name

    @property
    def file(self):
        """The name of the layer's file, which is that of its tests too: "normalization"."""
        return self.function.partition(":")[0].rpartition(".")[2]

    @property
    def path(self):
        """The source file, from the top of the project: "numpy_impl/layers/normalization.py"."""
        return self.function.partition(":")[0].replace(".", "/") + ".py"

    @property
    def qualified_name(self):
        """The function within its module: "LayerNorm.backward"."""
        return self.function.partition(":")[2]

    def planted(self):
        """A context manager: inside, the function has the bug. Raises ValueError unless `old` occurs exactly once."""
        return planted(pkgutil.resolve_name(self.function), self.old, self.new)

    def story(self):
        """What it looks like, why people make it and what it does to training, as one paragraph."""
        return f"{self.looks} {self.why} {self.training}"

    def diff(self):
        """The change as a unified diff with the lines of the file. Raises ValueError unless `old` occurs once."""
        right, wrong = edited_file(pkgutil.resolve_name(self.function), self.old, self.new)
        return "".join(difflib.unified_diff(right.splitlines(keepends=True), wrong.splitlines(keepends=True),
                                            f"a/{self.path}", f"b/{self.path}"))
