"""What the terminal stepper shows on top of itself: all numbers of an array, and the question what to search for."""

import numpy as np
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from parity_tests.harness.stepper.blocks import LEGEND, colour, largest_of
from parity_tests.harness.stepper.panels import MARK
from parity_tests.harness.stepper.text import array_type, error_of, number

MOST = 100      # rows and columns of a table
HELP = f"""\
n, right  next step                    p, left  the step before
o         over: past the calls made    O        the same, back
u         out: back to the caller
c         next array that is assigned  C        the one before
w         next wrong array             b        the backward pass begins
g         from d_x to x, and from x to d_x
/         find an array by its name    s        the whole call stack
0 to 9    go to 0 % to 90 % of the run; or click on the bar
Home, End the first step, the last
up, down  choose an array              Enter    all its numbers
d         dark or light                q        quit

Blue is negative, orange positive. {MARK} is what this step does.
Beside an array stands its gradient, or what it is the gradient of.
Without colours: {LEGEND}"""


class ValueScreen(ModalScreen):
    """All numbers of one array, the two last axes as a table; of the axes before them one index at a time."""

    CSS = """
    ValueScreen { background: $background; }
    ValueScreen DataTable { height: 1fr; }
    """
    BINDINGS = [
        Binding("escape,q,enter", "close", "Back", priority=True),
        Binding("right_square_bracket,n", "turn(1)", "Next index", key_display="]"),
        Binding("left_square_bracket,p", "turn(-1)", "Previous index", key_display="["),
        Binding("g", "counterpart", "Gradient or value"),
    ]

    def __init__(self, navigation, index, look):
        super().__init__()
        self.navigation, self.look = navigation, look
        self.index = index
        self.leading = 0        # which of the leading indices, counted through all of them

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        yield DataTable(zebra_stripes=False)
        yield Static(id="cell")
        yield Footer(compact=True)

    def on_mount(self):
        self.fill()

    @property
    def array(self):
        """The array that is shown."""
        trace = self.navigation.trace
        return trace.arrays[trace.values[self.index].array]

    @property
    def leading_index(self):
        """The index on the axes before the two last ones, as a tuple."""
        shape = self.array.shape[:-2]
        return tuple(map(int, np.unravel_index(self.leading, shape))) if shape else ()

    def fill(self):
        """Show the title and the table."""
        value, array = self.navigation.trace.values[self.index], self.array
        place = "".join(f"{index}, " for index in self.leading_index) + ", ".join(":" * min(array.ndim, 2))
        name = f"{value.name}[{place}]" if array.ndim else value.name
        difference = "" if value.difference is None else f"off by {value.difference:.2g} at most"
        self.query_one("#title", Static).update(Text("  ".join(filter(None, [
            name, array_type(array), error_of(value), difference])), "bold"))
        table = self.query_one(DataTable)
        table.clear(columns=True)
        rows = np.atleast_2d(array[self.leading_index] if array.size else np.empty((0, 0)))
        table.add_columns(*map(str, range(min(rows.shape[1], MOST))))
        for name, row in enumerate(rows[:MOST]):
            table.add_row(*map(self.cell, row[:MOST]), label=str(name))
        table.focus()
        if max(rows.shape) > MOST:
            self.query_one("#cell", Static).update(f"the first {MOST} of {' x '.join(map(str, rows.shape))}")

    def cell(self, item):
        """One number as it stands in the table, on its colour."""
        text = Text(number(item), justify="right")
        if self.look.in_colour and self.array.dtype.kind in "biuf":
            fill = colour(float(item), largest_of(self.array), self.look.is_dark)
            text.stylize(Style(color=contrast(fill), bgcolor=fill))
        return text

    def on_data_table_cell_highlighted(self, event):
        """Show the number under the cursor with all its digits."""
        if self.array.size:
            last = (event.coordinate.row, event.coordinate.column)[-self.array.ndim:] if self.array.ndim else ()
            index = (*self.leading_index, *last)
            name = self.navigation.trace.values[self.index].name
            self.query_one("#cell", Static).update(f"{name}{list(index) if index else ''} = {self.array[index]!s}")

    def action_turn(self, direction):
        """On to the next index of the leading axes, or back."""
        count = int(np.prod(self.array.shape[:-2]))
        self.leading = (self.leading + direction) % max(count, 1)
        self.fill()

    def action_counterpart(self):
        """From x to d_x and back."""
        other = self.navigation.counterpart(self.index)
        if other is None:
            self.app.bell()
        else:
            self.index = other
            self.leading %= max(int(np.prod(self.array.shape[:-2])), 1)
            self.fill()

    def action_close(self):
        self.dismiss(self.index)


class HelpScreen(ModalScreen):
    """All keys."""

    CSS = """
    HelpScreen { align: center middle; background: $background 30%; }
    HelpScreen Static { width: auto; max-width: 100%; padding: 0 1; border: round $primary; background: $surface; }
    """
    BINDINGS = [Binding("escape,q,enter,question_mark", "dismiss", "Back", priority=True)]

    def compose(self) -> ComposeResult:
        yield Static(HELP, markup=False)


class SearchScreen(ModalScreen):
    """Asks for a part of a name."""

    CSS = """
    SearchScreen { align: center bottom; background: $background 30%; }
    SearchScreen Vertical { height: auto; }
    """
    BINDINGS = [Binding("escape", "dismiss", "Cancel")]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Input(placeholder="name, or a part of it, such as d_x_hat")

    def on_input_submitted(self, event):
        self.dismiss(event.value.strip())


def contrast(fill):
    """Black or white, what can be read on a colour."""
    red, green, blue = (int(fill[i:i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"
