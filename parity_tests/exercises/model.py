"""An exercise: its texts, and the files that are made of them and of the layer's source as it stands."""

import ast
import dataclasses
import importlib
import inspect
import shlex
from pathlib import Path

from parity_tests.exercises.sources import file_of, free_names, wrapped

LEVELS = (1, 2, 3)


class Text(str):
    """A text that a notebook shows formatted."""

    def _repr_markdown_(self):
        return str(self)


class Code(str):
    """The text of a Python file. explanation: what a notebook shows above it."""

    explanation = ""

    def _repr_markdown_(self):
        return f"{self.explanation}\n\n```python\n{self}```".lstrip()


@dataclasses.dataclass(frozen=True)
class Exercise:
    """Write the backward pass of a primitive, or the method `backward` of a module.

    name: of the function or class. module: where it stands, such as "numpy_impl.layers.normalization".
    title: what it is about, in a few words. difficulty: 1 to 5. after: the exercises that it builds on.
    task: what is asked, one paragraph. shapes: {name: shape} of backward's arguments, of what the cache holds, and of
    what backward returns. hints: three; each tells more than the one before. why: why the answer is what it is.
    """

    name: str
    module: str
    title: str
    difficulty: int
    task: str
    shapes: dict
    hints: tuple
    why: str
    after: tuple = ()

    def __str__(self):
        return self.name

    @property
    def is_class(self):
        """True for a module."""
        return inspect.isclass(getattr(importlib.import_module(self.module), self.name))

    @property
    def asked(self):
        """What is to be written: "relu_backward" or "FeedForward.backward"."""
        return f"{self.name}.backward" if self.is_class else f"{self.name}_backward"

    @property
    def file_name(self):
        """What the learner's file is called, unless they choose another name."""
        return f"{self.name}.py"

    @property
    def stub(self):
        """The text of a file in which only the backward pass is missing."""
        return self.stub_for(self.file_name)

    def stub_for(self, file_name):
        """The stub, for a file of this name."""
        main = ['if __name__ == "__main__":', "    from parity_tests import grade", "",
                f'    print(grade("{self.name}", __file__))']
        body = "\n\n\n".join([self._forward_and(self._gap()), "\n".join(main)])
        lent = free_names(self._forward_and(self._file.text(self._backward))) | {"np"}
        return Code(self._file.complete(self._instructions(file_name), body, lent))

    def hint(self, level):
        """Hint 1, 2 or 3. ValueError for another level."""
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}, must be 1, 2 or 3")
        return Text(self.hints[level - 1])

    @property
    def answer(self):
        """The text of a file with the backward pass of numpy_impl, and why it is as it is.

        Where there is a collapsed form, it follows.
        """
        parts = [self._forward_and(self._file.text(self._backward))]
        lean = [name for name in (f"{self.name}_lean", f"{self.name}_lean_backward") if name in self._file.definitions]
        if lean:
            first = self._file.source(lean[0])
            parts.append(f"# Collapsed: the same gradients with less work. The layers use this form.\n\n\n{first}")
            parts += map(self._file.source, lean[1:])
        code = Code(self._file.complete(f"The answer to the exercise {self.name}.\n\n{wrapped(self.why)}\n",
                                        "\n\n\n".join(parts)))
        code.explanation = f"**{self.asked}.** {self.why}"
        return code

    def _repr_markdown_(self):
        yours = "module=YourClass" if self.is_class else "backward=your_function"
        return (f"**Exercise `{self.name}`: {self.title}** ({self.level})\n\n{self.task}\n\n"
                "`.stub` is the file to begin with; `.hint(1)`, `.hint(2)` and `.hint(3)` help; `.answer` is the end. "
                f'`grade("{self.name}", {yours})` tells whether yours is right.')

    @property
    def level(self):
        """Difficulty and what comes before, in words."""
        after = f", after {', '.join(self.after)}" if self.after else ""
        return f"difficulty {self.difficulty} of 5{after}"

    # How the files are made

    def _instructions(self, file_name):
        """The docstring of the stub."""
        missing = "only the method `backward` is" if self.is_class else f"only {self.asked} is"
        return "\n".join([
            f"Exercise {self.name}: {self.title}.", "", f"{self.level[0].upper()}{self.level[1:]}.", "",
            wrapped(self.task), "",
            wrapped(f"This is a copy from {self.module.replace('.', '/')}.py, in which {missing} missing. Write it, "
                    "then run this file, or:"), "",
            f"    python -m parity_tests grade {self.name} {shlex.quote(Path(file_name).as_posix())}", "",
            "It says whether every gradient is right, and if not, which is wrong first. For hints (1, 2 and 3):", "",
            f"    python -m parity_tests exercise {self.name} --hint 1", ""])

    @property
    def _file(self):
        return file_of(self.module)

    @property
    def _backward(self):
        """The node of what is asked."""
        if not self.is_class:
            return self._file.definitions[self.asked]
        methods = self._file.definitions[self.name].body
        return next(node for node in methods if isinstance(node, ast.FunctionDef) and node.name == "backward")

    def _forward_and(self, backward):
        """The forward pass as it stands, with this text in the place of the backward pass."""
        if not self.is_class:
            return f"{self._file.source(self.name)}\n\n\n{backward}"
        node, own = self._file.definitions[self.name], self._backward
        lines = self._file.lines
        return "\n".join([*lines[node.lineno - 1:own.lineno - 1], backward, *lines[own.end_lineno:node.end_lineno]])

    @property
    def _upstream(self):
        """The gradients that the backward pass is given."""
        return [argument.arg for argument in self._backward.args.args if argument.arg not in ("self", "cache")]

    @property
    def _unpacking(self):
        """The statement of the backward pass that takes the cache apart; None where there is no cache."""
        for node in self._backward.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(("cache", "self.saved(")):
                return node
        return None

    @property
    def _cached(self):
        """The names of what the cache holds; for `_` in the backward pass, what the forward pass calls it."""
        if self._unpacking is None:
            return []
        names = [node.id for node in ast.walk(self._unpacking.targets[0]) if isinstance(node, ast.Name)]
        if "_" in names:
            kept = self._file.definitions[self.name].body[-1].value.elts[-1].elts
            names = [ast.unparse(theirs) if name == "_" else name for name, theirs in zip(names, kept, strict=True)]
        return names

    def _gap(self):
        """The backward pass with its signature, its shapes and the cache taken apart, but without what is asked."""
        indent = " " * (self._backward.col_offset + 4)
        lines = [self._file.lines[self._backward.lineno - 1], *self._docstring(indent)]
        if self._cache_is_tuple:
            comma = "," if len(self._cached) == 1 else ""
            lines.append(self._file.text(self._unpacking) if self.is_class
                         else f"{indent}{', '.join(self._cached)}{comma} = cache")
        return "\n".join([*lines, f'{indent}raise NotImplementedError("{self.asked} is not written yet")'])

    @property
    def _cache_is_tuple(self):
        return self._unpacking is not None and isinstance(self._unpacking.targets[0], ast.Tuple)

    def _docstring(self, indent):
        """What backward takes, what the cache holds, and what backward returns."""
        returned = [name for name in self.shapes if name not in (*self._upstream, *self._cached)]
        lines = [wrapped(f'"""Return {self._shapes_of(returned)}.', indent), "",
                 wrapped(f"{self._shapes_of(self._upstream)}.", indent)]
        if self._cache_is_tuple:
            lines.append(f"{indent}The cache holds")
            lines += [f"{indent}    {self._shapes_of([name])}" for name in self._cached]
        elif self._cached:
            lines.append(f"{indent}The cache is {self._shapes_of(self._cached)}.")
        return [*lines, f'{indent}"""']

    def _shapes_of(self, names):
        return ", ".join(f"{name}: {self.shapes[name]}" for name in names)
