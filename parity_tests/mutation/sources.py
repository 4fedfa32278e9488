"""The sources that are mutated, and where in a source a line stands. Needs no cosmic-ray."""

import ast
import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("activations", "attention", "dropout", "embedding", "feed_forward", "linear", "losses", "masks",
          "normalization", "positional_encoding", "residual", "softmax")
TRAINING = ("gradients", "optimizers", "schedules")
# As paths from the root of the project; each is tested by the test file of its name.
SOURCES = (*(f"numpy_impl/layers/{name}.py" for name in LAYERS),
           *(f"numpy_impl/training/{name}.py" for name in TRAINING))


def read_source(source):
    """The text of a source."""
    return (ROOT / source).read_text(encoding="utf-8")


def hash_of(text):
    """The sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def tidy(line):
    """A line of code without its indentation and its comment."""
    return line.partition("  #")[0].strip()


class Outline:
    """Where the functions and classes of a source text stand, and which part of them is their header."""

    def __init__(self, source):
        self.places = []        # (first row, last row, qualified name), an outer one before its inner ones
        self.headers = []       # (start, end), each (row, column): decorators, name, arguments, bases
        self._visit(ast.parse(source), "")

    def _visit(self, node, outer):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                name = f"{outer}{child.name}"
                self.places.append((child.lineno, child.end_lineno, name))
                first, last = [*child.decorator_list, child][0], child.body[0]
                self.headers.append(((first.lineno, 0), (last.lineno, last.col_offset)))
                self._visit(child, f"{name}.")

    def is_in_header(self, position):
        return any(start <= position < end for start, end in self.headers)

    def place_of(self, row):
        """The qualified name of the innermost function or class around a row, "" if there is none."""
        around = [name for first, last, name in self.places if first <= row <= last]
        return around[-1] if around else ""
