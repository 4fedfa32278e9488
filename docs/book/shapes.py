"""The shape of everything that goes into and comes out of each module of a model, seen while it runs."""

import contextlib
import dataclasses
import html
import re

import numpy as np

from book.graph import ROW_HEIGHT, Graph
from book.numbers import in_columns, shape_text
from book.style import INK, WIDTH

HEADINGS = ("Module", "Class", "In", "Out", "Parameters")
VALUE_HEADINGS = ("Function", "Value", "Shape")
MODEL, LAYERS, MEMORY, IDS = "the model", "layers", "memory", "ids"
# Of the paths in a model, those that the map has a box for: parts of the model, and those of a stack's first layer.
DRAWN = re.compile(r"(?!(?:encoder|decoder)$)\w+|(?:encoder|decoder)\.(?:norm|layers\.0\.\w+)")
FILLS = "#eef2f5"    # behind the boxes of a layer


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

    @property
    def name(self):
        """The last part of its path."""
        return self.path.rpartition(".")[2] or MODEL


class Table(list):
    """Rows with shapes, which a notebook shows as a table. `named` gives letters to their sizes."""

    headings, letters = (), {}

    def named(self, **sizes):
        """The same with letters for sizes: `named(B=2, D=32)` shows (2, 5, 32) as (B, 5, D). A 1 stays a 1.

        Raises ValueError for two letters of one size, since a shape could then be read in two ways.
        """
        letters = {}
        for letter, size in sizes.items():
            if size in letters:
                raise ValueError(f"{letters[size]} and {letter} are both {size}, must differ: choose another run")
            letters[size] = letter
        named = type(self)(self)
        named.letters = letters
        return named

    def spelled(self, shape):
        """A shape as text: "(2, 5, 32)", with letters where its sizes have them."""
        if not shape:
            return shape_text(())
        sizes = [str(size) if size == 1 else self.letters.get(size, str(size)) for size in shape]
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    def cells(self, row):
        """The texts of a row, one for each heading."""
        raise NotImplementedError

    def indent(self, row):
        """How many steps to the right its first text stands."""
        return 0

    def __repr__(self):
        lines = [self.headings]
        for row in self:
            first, *others = self.cells(row)
            lines.append(("  " * self.indent(row) + first, *others))
        return "\n".join(in_columns(lines))

    def _repr_html_(self):
        head = "".join(f"<th>{heading}</th>" for heading in self.headings)
        cell = '</td><td style="white-space: nowrap">'    # on a phone the table is scrolled
        rows = "".join(f'<tr><td style="padding-left: {1 + self.indent(row)}em">' +
                       cell.join(map(html.escape, self.cells(row))) + "</td></tr>" for row in self)
        return (f'<div class="wide"><table class="shapes"><thead><tr>{head}</tr></thead>'
                f"<tbody>{rows}</tbody></table></div>")


class ShapeMap(Table):
    """The Calls of a run, in the order in which they began."""

    headings = HEADINGS

    def cells(self, row):
        inputs, out = (", ".join(map(self.spelled, group)) for group in (row.inputs, row.out))
        name = row.path if row is self[0] and row.path else row.name
        return name, row.kind, inputs, out, f"{row.parameters:,}"

    def indent(self, row):
        return row.depth - self[0].depth

    def below(self, path):
        """The module at `path` and all below it, as a ShapeMap."""
        found = ShapeMap(call for call in self if f"{call.path}.".startswith(f"{path}."))
        found.letters = self.letters
        return found

    def draw(self):
        """Draw the map of an encoder-decoder model: the encoder's column, the decoder's, and the memory between them.

        A box is a module with the shape that it returned; of equal layers the first is drawn, on a ground that says how
        many there are. Dashed arrows are the way of the gradients. Returns the axes.
        """
        calls, kinds = {call.path: call for call in self}, {call.path: call.kind for call in self}
        drawn = [call for path, call in calls.items() if DRAWN.fullmatch(path)]
        columns = ([call for call in drawn if call.path.startswith(("source", "encoder"))],
                   [call for call in drawn if not call.path.startswith(("source", "encoder"))])
        cross = next(row for row, call in enumerate(columns[1]) if call.path.endswith("cross_attention"))
        starts = (0, len(columns[0]) - cross)    # the memory stands beside what reads it; above each column its ids
        graph, grounds = Graph(), []
        for column, (start, boxes, side) in enumerate(zip(starts, columns, ("encoder", "decoder"))):
            ids = f"{boxes[0].path.partition('_')[0]}_{IDS}"
            graph.box(ids, shape=self.spelled(boxes[0].inputs[0]), column=column, row=start)
            before, rows = ids, []
            for row, call in enumerate(boxes, start + 1):
                text = kinds.get(f"{call.path}.sublayer", call.kind)
                graph.box(call.path, text, self.spelled(call.out[0]), " ", column, row)    # " ": it has a gradient
                graph.boxes[call.path].name = call.name
                graph.arrow(before, call.path, None if before == ids else "")
                before = call.path
                rows += [row] if ".layers.0." in call.path else []
            grounds.append((column, rows[0], rows[-1], sum(path.startswith(f"{side}.layers.") and path.count(".") == 2
                                                           for path in calls)))
        graph.box(MEMORY, shape=self.spelled(columns[0][-1].out[0]), gradient=f"d_{MEMORY}", column=0,
                  row=len(columns[0]) + 1)
        graph.arrow(columns[0][-1].path, MEMORY, "").arrow(MEMORY, columns[1][cross].path, "")
        axes = graph.draw()
        for column, first, last, count in grounds:
            top, bottom = first * ROW_HEIGHT + 0.02, (last + 1) * ROW_HEIGHT - 0.02
            axes.axhspan(top, bottom, column * 0.53, 0.47 + column * 0.53, color=FILLS, zorder=0, linewidth=0)
            axes.text((0.47 + column * 0.53) * WIDTH - 0.14, (first + 1) * ROW_HEIGHT, f"{count} {LAYERS}", fontsize=9,
                      color=INK, ha="right", va="center")
        return axes


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


# Below the modules: what the statements assigned


class ValueMap(Table):
    """(function, value, shape) of what the statements of a module's functions assigned, in the order of the run."""

    headings = VALUE_HEADINGS

    def cells(self, row):
        function, value, shape = row
        return function, value, self.spelled(shape)


def value_map(model, *inputs, path=""):
    """Run `model(*inputs)` and return the ValueMap of the module at `path` and of the functions that run for it.

    Modules below it have paths of their own. Of a function that runs several times the first call counts. Raises
    KeyError where no module stands.
    """
    from parity_tests.harness.recorder import record    # it loads PyTorch
    if path not in dict(model.named_modules()):
        raise KeyError(path)
    with record(root=model) as recording:
        model(*inputs)
    found = ValueMap()
    for key, local in recording:
        if key.path == path and key.call == key.number == 0:
            found.append((key.function, key.name, np.shape(local.value)))
    return found
