"""Arrays as text for a terminal: the slice that differs most, wrong entries marked."""

import numpy as np

ROWS, COLUMNS = 5, 6


def side_by_side(actual, expected):
    """Lines that show two arrays of one shape beside each other; a * marks each entry that differs."""
    index, rows, columns = worst_slice(actual, expected)
    mine, theirs = _plane(actual, index), _plane(expected, index)
    wrong = differs(actual, expected)
    marks = _plane(wrong, index)
    left = _table(mine[rows, columns], marks[rows, columns])
    right = _table(theirs[rows, columns], np.zeros_like(marks[rows, columns]))
    width = max(map(len, left))
    where = f"[{', '.join([*map(str, index), ':'] + ([':'] if actual.ndim > 1 else []))}]" if actual.ndim > 2 else ""
    lines = [f"{'yours' + where:<{width}}    expected{where}"]
    lines += [f"{mine:<{width}}    {theirs}" for mine, theirs in zip(left, right)]
    cut = mine[rows, columns].shape != mine.shape
    return lines + ["(a part of it)"] * cut


def differs(actual, expected):
    """Boolean array: where two arrays of one shape differ by more than rounding."""
    with np.errstate(all="ignore"):
        scale = abs(expected[np.isfinite(expected)]).max(initial=0) or 1
        return ~((actual == expected) | (abs(actual - expected) <= 1e-9 * scale))


def worst_slice(actual, expected):
    """(leading indices of the plane with the most wrong entries, slice of its rows, slice of its columns)."""
    wrong = differs(actual, expected)
    if wrong.ndim <= 2:
        index = ()
    else:
        counts = wrong.sum(axis=(-2, -1))
        index = tuple(int(i) for i in np.unravel_index(counts.argmax(), counts.shape))
    plane = _plane(wrong, index)
    row = _start(plane.any(axis=1), ROWS)
    column = _start(plane.any(axis=0), COLUMNS)
    return index, slice(row, row + ROWS), slice(column, column + COLUMNS)


def _start(wrong, room):
    """Where to begin, so that the first wrong entry is among the `room` that are shown."""
    if len(wrong) <= room or not wrong.any():
        return 0
    return int(min(max(wrong.argmax() - 1, 0), len(wrong) - room))


def _plane(array, index):
    plane = np.asarray(array)[index] if index else np.asarray(array)
    return np.atleast_2d(plane) if plane.ndim else plane.reshape(1, 1)


def _table(values, marks):
    texts = [[f"{number(value)}{'*' if mark else ' '}" for value, mark in zip(*row)] for row in zip(values, marks)]
    width = max((len(text) for row in texts for text in row), default=1)
    return [" ".join(f"{text:>{width}}" for text in row) for row in texts] or ["(empty)"]


def number(value):
    """A number in a few characters."""
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return str(value)
    return f"{value:.4g}"
