"""What the terminal stepper shows of a step, as texts: source, call stack, locals, and how far the run has come."""

import re
import textwrap

from rich.console import Group
from rich.syntax import Syntax
from rich.text import Text

from parity_tests.harness.stepper.blocks import blocks
from parity_tests.harness.stepper.text import array_type, error_of

GUTTER = 5          # characters before a line of source
MARK = "▶"


class Look:
    """How things are drawn: whether the screen is dark, and whether there are colours."""

    def __init__(self, is_dark, in_colour):
        self.is_dark = is_dark
        self.in_colour = in_colour

    def blocks(self, array, rows, columns):
        return blocks(array, rows, columns, self.is_dark, self.in_colour)

    @property
    def current(self):
        """The style of the current line."""
        return "reverse" if not self.in_colour else "bold on #3d3a14" if self.is_dark else "bold on #fff1c2"


def source(navigation, time, look):
    """The source of the function that is running: the current statement whole, the others cut where the panel ends."""
    function, current = navigation.function_of(navigation.call_at(time)), navigation.lines_at(time)
    lines = textwrap.dedent("\n".join(function.source)).split("\n")
    for row in (line - function.first_line for line in current):
        lines[row] = re.sub(r" {3,}#", "  #", lines[row])    # it is shown whole, and shall take as few lines as it can
    coloured = Syntax("", "python", theme="ansi_dark" if look.is_dark else "ansi_light").highlight("\n".join(lines))
    texts = []
    for number, line in enumerate(coloured.split("\n"), function.first_line):
        is_current = number in current
        text = Text.assemble((f"{MARK if is_current else ' '}{number:>{GUTTER - 2}} ", "dim"), line)
        text.no_wrap, text.overflow = not is_current, "fold" if is_current else "ellipsis"
        if is_current:
            text.stylize(look.current)
        texts.append(text)
    return Group(*texts)


def stack(navigation, time, is_open):
    """The calls from the outermost to the one that is running: one line, or one for each."""
    calls = navigation.stack_of(navigation.call_at(time))
    lines = [*(navigation.trace.calls[call].line for call in calls[1:]), navigation.line_at(time)]
    names = [navigation.function_of(call).name for call in calls]
    if not is_open:
        return Text(" › ".join(names), no_wrap=True, overflow="ellipsis")
    text = Text()
    for depth, (call, name, line) in enumerate(zip(calls, names, lines)):
        path = navigation.trace.calls[call].path
        text.append(f"{' ' * depth}{name}", "bold" if call == calls[-1] else "")
        text.append(f"  {navigation.function_of(call).file.rpartition('/')[2]}:{line}  {path}\n", "dim")
    text.rstrip()
    return text


def local(navigation, index, time, look, width, rows):
    """One array: name, type and error, then its numbers beside those of its gradient, or of what it is the gradient of.

    width: characters that there are. rows: lines of a heatmap.
    """
    trace = navigation.trace
    value = trace.values[index]
    array, error = trace.arrays[value.array], error_of(value).removeprefix("error ")
    is_new = value.time == time
    text = Text.assemble((f"{MARK if is_new else ' '}{value.name}", "bold" if is_new else ""),
                         (f"  {array_type(array)}", "dim"))
    text.append(f"  {error}" if error else "", "bold red" if value.problem else "green")
    text.append("\n")
    other = navigation.counterpart(index)
    if other is None:
        return text.append_text(beside(look.blocks(array, rows, width - 2), "", Text()))
    other = trace.values[other]
    columns = max((width - len(other.name) - 4) // 2, 2)
    return text.append_text(beside(look.blocks(array, rows, columns), other.name,
                                   look.blocks(trace.arrays[other.array], rows, columns)))


def beside(left, name, right):
    """Two pictures side by side; the second has a name before it."""
    lefts, rights = left.split("\n"), right.split("\n")
    width = max(map(len, lefts))
    lines = []
    for number in range(max(len(lefts), len(rights))):
        line = Text(" ").append_text(lefts[number] if number < len(lefts) else Text())
        if number < len(rights) and rights[number]:
            line.pad_right(width + 1 - len(line))
            line.append(f"  {name if number == 0 else ' ' * len(name)} ", "dim").append_text(rights[number])
        lines.append(line)
    return Text("\n").join(lines)


def notes(navigation, time):
    """What stands below the panels: the equation of the line, the numbers of the call, and how the run ended."""
    trace, label = navigation.trace, navigation.label_at(time)
    text = Text()
    if label in trace.equations:
        text.append(f"{label}: ", "dim").append(" ".join(trace.equations[label].split()) + "\n")
    known = navigation.notes_at(time)
    if known:
        text.append(", ".join(f"{name} = {value}" for name, value in known.items()) + "\n", "dim")
    if trace.stopped and time == navigation.last:
        text.append(f"The run stopped here: {trace.stopped}", "bold red")
    elif trace.remark and time == navigation.last:
        text.append(trace.remark)
    text.rstrip()
    return text


def bar(navigation, time, width):
    """How far the run has come; | is where the backward pass begins."""
    def place(step):
        return round(step * (width - 1) / max(navigation.last, 1))

    text = Text("━" * place(time) + "●" + "─" * (width - 1 - place(time)), no_wrap=True)
    if navigation.turn is not None and place(navigation.turn) != place(time):
        text = text[:place(navigation.turn)] + Text("|", "bold") + text[place(navigation.turn) + 1:]
    return text
