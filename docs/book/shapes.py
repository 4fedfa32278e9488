"""The shape of everything that goes into and comes out of each module of a model, seen while it runs."""

import contextlib
import dataclasses
import html

import numpy as np

HEADINGS = ("Module", "Class", "In", "Out", "Parameters")


@dataclasses.dataclass(frozen=True)
class Call:
    """One run of a module. path: where it stands in the model. inputs: the shapes of its array arguments, out: of what
    it returned. parameters: how many numbers are trained in it and below it."""

    path: str
    kind: str
    inputs: tuple
    out: tuple
    parameters: int

    @property
    def depth(self):
        """How many modules stand above it, the model itself included."""
        return self.path.count(".") + 1 if self.path else 0

    def cells(self):
        """Its texts, one for each of HEADINGS."""
        shapes = (", ".join(f"({', '.join(map(str, shape))})" for shape in group) for group in (self.inputs, self.out))
        return (self.path.rpartition(".")[2] or "the model", self.kind, *shapes, f"{self.parameters:,}")


class ShapeMap(list):
    """The Calls of a run, in the order in which they began; a notebook shows them as a table."""

    def __repr__(self):
        lines = [HEADINGS, *[("  " * call.depth + (cells := call.cells())[0], *cells[1:]) for call in self]]
        widths = [max(map(len, column)) for column in zip(*lines)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    def _repr_html_(self):
        head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
        rows = "".join(f'<tr><td style="padding-left: {1 + call.depth}em">' +
                       "</td><td>".join(map(html.escape, call.cells())) + "</td></tr>" for call in self)
        return (f'<div class="wide"><table class="shapes"><thead><tr>{head}</tr></thead>'
                f"<tbody>{rows}</tbody></table></div>")


def shape_map(model, *inputs, depth=None, **options):
    """Run `model(*inputs)` and return the ShapeMap of all modules that ran, down to `depth` levels below the model.

    A module that ran several times comes several times. inputs: arrays, such as ids. options: further arguments.
    """
    calls = ShapeMap()
    with contextlib.ExitStack() as stack:
        for path, module in model.named_modules():
            if hasattr(module, "forward") and (depth is None or path.count(".") + bool(path) <= depth):
                stack.enter_context(_watched(module, path, calls))
        model(*inputs, **options)
    return calls


@contextlib.contextmanager
def _watched(module, path, calls):
    """Note each call of the module's forward."""
    forward, count = module.forward, sum(parameter.data.size for parameter in module.parameters())

    def watched(*args, **kwargs):
        place = len(calls)
        calls.append(None)    # its own place, before those that it calls
        output = forward(*args, **kwargs)
        calls[place] = Call(path, type(module).__name__, _shapes((*args, *kwargs.values())), _shapes((output,)), count)
        return output

    module.forward = watched
    try:
        yield
    finally:
        del module.forward


def _shapes(values):
    found = []
    for value in values:
        if isinstance(value, tuple):
            found += _shapes(value)
        elif isinstance(value, np.ndarray):
            found.append(value.shape)
    return tuple(found)
