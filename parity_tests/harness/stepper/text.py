"""A run as lines of text, a block for each step: to be read from top to bottom, piped and searched."""

import textwrap

import numpy as np

from parity_tests.harness.stepper.navigation import Navigation
from parity_tests.harness.trace import KINDS


def lines_of(trace):
    """Yield the lines of a Trace: a heading, a block for each step, and a summary."""
    navigation = Navigation(trace)
    yield f"{trace.title}: {len(trace.steps)} steps"
    for time in range(len(trace.steps)):
        yield ""
        yield from block(navigation, time)
    yield ""
    yield summary(trace)


def block(navigation, time):
    """The lines of one step: where it is, its source, and the arrays that it assigned."""
    trace = navigation.trace
    call, kind, line, values = trace.steps[time]
    function, path = navigation.function_of(call), trace.calls[call].path
    verb = f"  {KINDS[kind]}" if KINDS[kind] != "line" else ""
    yield f"step {time}  {function.file}:{line}  {function.name}{f'  {path}' if path else ''}{verb}"
    if kind != KINDS.index("return"):
        lines = navigation.lines_at(time)
        source = function.source[lines.start - function.first_line:lines.stop - function.first_line]
        yield from textwrap.indent(textwrap.dedent("\n".join(source)), "    ").split("\n")
    label = navigation.label_at(time)
    if label in trace.equations:
        yield f"    eq {label}: {' '.join(trace.equations[label].split())}"
    for value in values:
        yield f"      {described(trace, value)}"


def described(trace, index):
    """One value as a line: name, what it is the gradient of, shape, dtype, range and error."""
    value = trace.values[index]
    array = trace.arrays[value.array]
    parts = [value.name, array_type(array), numbers(array), error_of(value)]
    if value.of is not None:
        share = "share of the " if "_from_" in value.name else ""
        parts.insert(1, f"{share}gradient of {trace.values[value.of].name}")
    return "  ".join(filter(None, parts))


def array_type(array):
    """Its dtype and shape, such as "float64 (2, 3)"."""
    return f"{array.dtype} {array.shape}"


def error_of(value):
    """A value's error in words; "" where there is nothing to compare it with."""
    if value.problem:
        size = "" if value.error is None else f", error {value.error:.3g} eps, bound {value.bound:.3g}"
        return f"WRONG: {value.problem}{size}"
    return "" if value.error is None else f"error {value.error:.3g} eps"


def numbers(array):
    """A few numbers in full, of more the range."""
    if array.size <= 4:
        return "= " + ", ".join(number(item) for item in array.ravel())
    finite = array[np.isfinite(array)] if array.dtype.kind in "fc" else array
    if array.dtype.kind not in "fiu" or not finite.size:
        return ""
    return f"{number(finite.min())} to {number(finite.max())}"


def number(item):
    """One element of an array, floats with four digits."""
    return f"{item:.4g}" if isinstance(item, (float, np.floating)) else str(item)


def summary(trace):
    """What the comparison found, in one line."""
    compared = [value for value in trace.values if value.error is not None or value.problem]
    wrong = [value for value in compared if value.problem]
    if trace.stopped:
        return f"stopped: {trace.stopped}"
    if not compared:
        return f"nothing was compared: {trace.remark}" if trace.remark else "nothing was compared"
    found = f"{len(compared)} of {len(trace.values)} arrays were compared with {trace.reference}: "
    remark = f"; {trace.remark}" if trace.remark else ""
    if not wrong:
        return f"{found}all within their bounds{remark}"
    first = min(wrong, key=lambda value: value.time)
    are = "is wrong: " if len(wrong) == 1 else "are wrong, the first of them "
    return f"{found}{len(wrong)} {are}{first.name} at step {first.time}{remark}"
