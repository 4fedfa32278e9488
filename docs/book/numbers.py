"""Numbers on a page: arrays as text, and single numbers for sentences."""

import os
from fractions import Fraction

import numpy as np

LARGEST_DENOMINATOR = 60


class Shown(str):
    """Text that a notebook shows as it is."""

    def __repr__(self):
        return str(self)


def show(*, fractions=False, digits=4, **arrays):
    """Each array under its name, with its shape. fractions: 1/3 instead of 0.3333, where the number is one."""
    return Shown("\n".join(f"{name}: {shape_text(value)}\n{array_text(value, fractions, digits, indent=4)}"
                           for name, value in arrays.items()))


def measured(name, value):
    """Keep a number for the text of the same page, which shows it by {glue:text}`name:.1e`, or without a format.

    value: a number or a text. The cell should have the tag remove-output, or nothing else to show. In a notebook, whose
    text cannot show it, it is printed under its name.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if os.environ.get("BOOK_NOTEBOOK"):
        print(f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}")
        return
    from myst_nb import glue
    glue(name, value, display=False)


def shape_text(value):
    """"(2, 3)", and "a number" for what has no axes."""
    shape = np.shape(value)
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})" if shape else "a number"


def in_columns(rows):
    """Rows of texts as lines, with each cell in a column of its own."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def array_text(value, fractions=False, digits=4, indent=0):
    """An array as lines of numbers in columns; a blank line between the matrices of a stack."""
    array = np.asarray(value)
    written = np.array([number_text(number, fractions, digits) for number in array.ravel()], dtype=object)
    width = max(map(len, written), default=0)
    rows = written.reshape(-1, array.shape[-1] if array.ndim else 1) if array.size else []
    each = array.shape[-2] if array.ndim > 2 else len(rows)
    lines = []
    for index, row in enumerate(rows):
        lines += [""] if index and index % each == 0 else []
        lines.append(" " * indent + "  ".join(number.rjust(width) for number in row))
    return "\n".join(lines)


def number_text(number, fractions=False, digits=4):
    """One number: 0.3333, or 1/3; True and ids as they are."""
    if isinstance(number, (bool, np.bool_, int, np.integer, str)):
        return str(number)
    if not np.isfinite(number):
        return str(float(number))
    if fractions:
        near = Fraction(float(number)).limit_denominator(LARGEST_DENOMINATOR)
        if abs(float(near) - number) < 1e-12 * max(1, abs(number)):
            return str(near)
    return f"{round(float(number), digits) + 0.0:.{digits}f}"    # + 0.0: no minus before a zero
