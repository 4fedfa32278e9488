"""Computation graphs: boxes for values with their shapes, arrows forward, and dashed arrows for the gradients.

`graph_of` reads a function of the twins: each statement becomes a box, so that the drawing cannot disagree with the
code. `Graph` is for anything else: write down boxes and arrows, and where the boxes stand.
"""

import ast
import dataclasses
import inspect
import re
import textwrap

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from book.numbers import shape_text
from book.style import GREY, INK, ORANGE, PAPER, WIDTH, new_figure
from book.walking import walk

CONSTANT = "no gradient"
ROW_HEIGHT, BOX_HEIGHT = 0.74, 0.46    # inches
GAP = 0.5                              # between columns
LETTER = 0.067                         # the width of a letter of 8 points
LIFT = 0.07                            # how far the two arrows of an edge are from its middle
LANE = 0.15                            # between arrows that lead round other boxes


@dataclasses.dataclass
class Box:
    """A value. column, row: where it stands, from the left and from the top; fractions are allowed."""

    name: str
    text: str = ""
    shape: str = ""
    gradient: str = ""
    column: float = 0
    row: float = 0


class Graph:
    """Boxes and arrows. `draw()` makes the figure."""

    def __init__(self):
        self.boxes, self.arrows = {}, []

    def box(self, name, text="", shape="", gradient="", column=0, row=None):
        """Add a value. text: how it is made. gradient: what its gradient is called; "" if it has none. row: by default
        the next one. Returns the Graph, so that calls can be chained.
        """
        row = len(self.boxes) if row is None else row
        self.boxes[name] = Box(name, text, shape, gradient, column, row)
        return self

    def arrow(self, source, target, share=None):
        """Add the use of a value by another one. share: what the gradient that comes back along it is called: "" draws
        the arrow back without a name, None draws none. Raises KeyError for boxes that are not there.
        """
        self.arrows.append((self.boxes[source], self.boxes[target], share))
        return self

    def draw(self, width=WIDTH):
        """Draw it. Returns the figure's axes."""
        columns = 1 + max(box.column for box in self.boxes.values())
        rows = 1 + max(box.row for box in self.boxes.values())
        self._lanes = self._find_lanes()
        margin = LANE * (len(self._lanes) + 1) if self._lanes else 0.05
        self._box_width = min((width - margin - GAP * (columns - 1)) / columns - 0.05, 3.2)
        height = rows * ROW_HEIGHT
        figure, axes = new_figure(width, height)
        figure.get_layout_engine().set(w_pad=0, h_pad=0)
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
        axes.axis("off")
        self._left = (width + margin - 0.05 - columns * self._box_width - (columns - 1) * GAP) / 2
        for source, target, share in self.arrows:
            self._draw_arrow(axes, source, target, share)
        for box in self.boxes.values():
            self._draw_box(axes, box)
        return axes

    def _find_lanes(self):
        """{(source, target): number} of the arrows that must lead round other boxes, the shortest nearest to them."""
        round_others = [(source, target) for source, target, _ in self.arrows if source.column == target.column
                        and any(box.column == source.column and source.row < box.row < target.row
                                for box in self.boxes.values())]
        round_others.sort(key=lambda ends: ends[1].row - ends[0].row)
        return {(source.name, target.name): number for number, (source, target) in enumerate(round_others)}

    def _middle(self, box):
        return (self._left + box.column * (self._box_width + GAP) + self._box_width / 2,
                (box.row + 0.5) * ROW_HEIGHT)

    def _draw_box(self, axes, box):
        x, y = self._middle(box)
        left, width = x - self._box_width / 2, self._box_width
        axes.add_patch(FancyBboxPatch(
            (left, y - BOX_HEIGHT / 2), width, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.06", facecolor=PAPER,
            edgecolor=INK if box.gradient else GREY, linestyle="-" if box.gradient else (0, (2, 2)), linewidth=1.1,
            zorder=3))
        top, bottom = (y - 0.1, y + 0.11) if box.text or box.gradient else (y, y)
        mono = {"family": "monospace", "va": "center", "zorder": 4}
        axes.text(left + 0.07, top, box.name, ha="left", fontsize=9, weight="bold", color=INK, **mono)
        axes.text(left + width - 0.07, top, box.shape, ha="right", fontsize=8, color=GREY, **mono)
        room = int((width - 0.14) / LETTER) - len(box.gradient) - 2
        axes.text(left + 0.07, bottom, shortened(box.text, room), ha="left", fontsize=8, color=INK, **mono)
        axes.text(left + width - 0.07, bottom, box.gradient, ha="right", fontsize=8, color=ORANGE, **mono)

    def _draw_arrow(self, axes, source, target, share):
        (x0, y0), (x1, y1) = self._middle(source), self._middle(target)
        same = source.column == target.column
        if (source.name, target.name) in self._lanes:
            self._draw_detour(axes, source, target, share)
            return
        begin, end = (x0, y0 + BOX_HEIGHT / 2), (x1, y1 - BOX_HEIGHT / 2)
        if source.row == target.row:
            side = 1 if x1 > x0 else -1
            begin, end = (x0 + side * self._box_width / 2, y0), (x1 - side * self._box_width / 2, y1)
        elif not same:    # from corner to corner rather than from middle to middle
            shift = (self._box_width / 2 - 0.25) * (1 if x1 > x0 else -1)
            begin, end = (x0 + shift, begin[1]), (x1 - shift, end[1])
        self._pair(axes, begin, end, share)

    def _pair(self, axes, begin, end, share, connection="arc3,rad=0"):
        """The arrow forward, and beside it the one back."""
        level, upright = begin[1] == end[1], begin[0] == end[0]
        dx, dy = (0, LIFT) if level else (LIFT if upright else 2 * LIFT, 0)    # along the edges that they leave
        lift = 0 if share is None else 1
        style = {"arrowstyle": "-|>", "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0, "connectionstyle": connection}
        axes.add_patch(FancyArrowPatch((begin[0] - lift * dx, begin[1] - lift * dy),
                                       (end[0] - lift * dx, end[1] - lift * dy),
                                       color=GREY if share is None else INK, linewidth=1.1, zorder=2, **style))
        if share is None:
            return
        axes.add_patch(FancyArrowPatch((end[0] + dx, end[1] + dy), (begin[0] + dx, begin[1] + dy), color=ORANGE,
                                       linestyle=(0, (3, 2)), linewidth=1.1, zorder=2, **style))
        if share:
            axes.text((begin[0] + end[0]) / 2 + dx + 0.06, (begin[1] + end[1]) / 2 + dy, share, fontsize=7.5,
                      color=ORANGE, family="monospace", va="center", zorder=5,
                      bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})

    def _draw_detour(self, axes, source, target, share):
        """Out of the left side of one box, down, and into the left side of the other."""
        (x0, y0), (_, y1) = self._middle(source), self._middle(target)
        left = x0 - self._box_width / 2
        lane = self._lanes[source.name, target.name]
        reach, aside = LANE * (lane + 1), 0.09 * (lane % 3 - 1)
        for lift, colour, dashes, towards in ((1, INK if share is not None else GREY, "-", 1),
                                              (-1, ORANGE, (0, (3, 2)), -1))[:1 if share is None else 2]:
            shift = 0 if share is None else lift * LIFT / 2
            xs = [left, left - reach - shift, left - reach - shift, left]
            ys = [y0 + aside - shift, y0 + aside - shift, y1 + aside + shift, y1 + aside + shift]
            axes.plot(xs, ys, color=colour, linestyle=dashes, linewidth=1.1, zorder=2, clip_on=False)
            end = (left, ys[-1] if towards > 0 else ys[0])
            axes.add_patch(FancyArrowPatch((end[0] - 0.12, end[1]), end, arrowstyle="-|>", mutation_scale=9, shrinkA=0,
                                           shrinkB=0, color=colour, linewidth=1.1, zorder=2, clip_on=False))


def shortened(text, room):
    """The text, or its beginning with dots where it does not fit."""
    return text if len(text) <= room else text[:max(room - 1, 0)] + "…"


# From the code


def graph_of(function, *, columns=None, rows=None, d_y=None, backward=None, texts=None, **inputs):
    """Draw the computation graph of a primitive: a box for each argument and each local, as a run gave them shapes.

    columns, rows: {name: number}, where boxes stand; by default one below the other in column 0. texts: {name: how it
    is made}, where the code says it in too many letters. The gradients are those that the backward pass names; a value
    without one is drawn in grey.
    """
    columns, rows, texts = columns or {}, rows or {}, texts or {}
    module = inspect.getmodule(function).__dict__
    backward = backward or module[f"{function.__name__}_backward"]
    gradients = {node.id for node in ast.walk(_tree(backward)) if isinstance(node, ast.Name)}
    gradients |= set(inspect.signature(backward).parameters)
    run = walk(function, **inputs)
    shapes = {name: shape_text(array) for _, name, array in run.rows}
    graph, uses = Graph(), {}
    for code, name, _ in run.rows:
        if code != name:    # a statement, no argument
            statement = ast.parse(code).body[0]
            parts = operands(statement.value)
            uses[name] = [part for part in shapes if part in parts and part != name]
            texts.setdefault(name, simple(statement.value))
    used = {part for parts in uses.values() for part in parts}
    names = [name for name in shapes if name in uses or name in used]
    for name in names:
        gradient = f"d_{name}" if f"d_{name}" in gradients else ""
        graph.box(name, texts.get(name, ""), shapes[name], gradient, columns.get(name, 0), rows.get(name))
    for name, parts in uses.items():
        for part in parts:
            graph.arrow(part, name, _share(part, name, gradients))
    graph.draw()


def operands(node):
    """The names whose numbers an expression uses: in `x.reshape(*y.shape)` x, not y."""
    if isinstance(node, ast.Attribute) and node.attr in ("shape", "ndim", "dtype", "size"):
        return set()
    if isinstance(node, ast.Name):
        return {node.id}
    return set().union(*map(operands, ast.iter_child_nodes(node)))


def _share(part, name, gradients):
    """What the gradient is called that `part` gets from `name`; None if it gets none."""
    if f"d_{part}" not in gradients or f"d_{name}" not in gradients:
        return None
    return f"d_{part}_from_{name}" if f"d_{part}_from_{name}" in gradients else ""


def _tree(function):
    return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]


def simple(node):
    """An expression in few letters: without np., axis and keepdims."""
    text = re.sub(r",? ?\b(?:axis|keepdims)=[\w.-]+", "", ast.unparse(node))
    return re.sub(r"\bnp\.", "", text)
