"""An array as coloured blocks of a terminal, or as characters where there shall be no colour."""

import numpy as np
from rich.style import Style
from rich.text import Text

# By whether the screen is dark: zero, the largest negative and the largest positive number.
PALETTES = {True: ("#22282f", "#58a6ff", "#ffa657"), False: ("#eceff2", "#0a4f9e", "#a8400a")}
INFINITE, NOT_A_NUMBER = "#808890", "#d02fd0"
LEGEND = "1 to 9: from near zero to the largest; a to i: the same, negative; . about zero; + - infinite; ? NaN"


def blocks(array, rows, columns, is_dark=True, in_colour=True):
    """A Text of at most so many lines and characters a line. The last axis runs across, all others down.

    In colour two numbers stand in one character, one above the other. Of an array with more numbers than fit, each
    place shows the one of a neighbourhood that is farthest from zero.
    """
    if array.dtype.kind not in "biuf" or not array.size:
        return Text("empty" if not array.size else "no real numbers", style="dim")
    grid = shrunk(array, rows * 2 if in_colour else rows, columns)
    largest = largest_of(array)
    if not in_colour:
        return Text("\n".join("".join(character(number, largest) for number in row) for row in grid))
    wide = "▀▀" if 2 * grid.shape[1] <= columns else "▀"
    text = Text()
    for top in range(0, len(grid), 2):
        for column in range(grid.shape[1]):
            lower = colour(grid[top + 1, column], largest, is_dark) if top + 1 < len(grid) else None
            text.append(wide, Style(color=colour(grid[top, column], largest, is_dark), bgcolor=lower))
        text.append("\n" if top + 2 < len(grid) else "")
    return text


def shrunk(array, rows, columns):
    """The array as at most so many rows and columns of float64; of neighbours the one farthest from zero stays."""
    grid = np.asarray(array, dtype="float64").reshape(-1, array.shape[-1] if array.ndim else 1)
    for axis, most in enumerate((rows, columns)):
        parts = np.array_split(grid, min(most, grid.shape[axis]), axis)
        grid = np.stack([_farthest_from_zero(part, axis) for part in parts], axis)
    return grid


def _farthest_from_zero(part, axis):
    distance = np.where(np.isnan(part), np.inf, abs(part))    # NaN must not be lost
    return np.take_along_axis(part, distance.argmax(axis, keepdims=True), axis).squeeze(axis)


def largest_of(array):
    """The largest finite magnitude, the end of the scale of colours: a score masked by -inf must not fill it."""
    numbers = np.asarray(array, dtype="float64")
    return abs(numbers[np.isfinite(numbers)]).max(initial=0)


def colour(number, largest, is_dark):
    """The colour of a number on a scale from zero to `largest`."""
    if not np.isfinite(number):
        return NOT_A_NUMBER if np.isnan(number) else INFINITE
    zero, negative, positive = PALETTES[is_dark]
    end, part = negative if number < 0 else positive, abs(number) / (largest or 1)
    mixed = [round(int(zero[i:i + 2], 16) * (1 - part) + int(end[i:i + 2], 16) * part) for i in (1, 3, 5)]
    return "#" + "".join(f"{component:02x}" for component in mixed)


def character(number, largest):
    """The character of a number, see LEGEND."""
    if not np.isfinite(number):
        return "?" if np.isnan(number) else "+" if number > 0 else "-"
    level = round(9 * abs(number) / (largest or 1))
    return "." if level == 0 else chr(ord("a" if number < 0 else "1") + level - 1)
