"""Heatmaps of small arrays as HTML tables: a snippet that stands by itself, in a page or in a notebook.

Blue is negative, red positive, white zero, in both themes with text that can be read; NaN and infinities have patterns
of their own, and entries that differ from a reference have a border. Each cell tells its index and value. """

import html

import numpy as np

MOST_ROWS, MOST_COLUMNS, MOST_PLANES = 16, 16, 3
BLUE, RED = (33, 102, 172), (178, 24, 43)
CELL = "padding: 1px 4px; text-align: right; font: 11px monospace"
NOT_FINITE = "repeating-linear-gradient(45deg, #888 0 3px, #eee 3px 6px)"


def heatmap_html(array, reference=None, title=""):
    """A heatmap of an array of numbers or booleans; a wrong entry is marked where a reference of its shape is given.

    Of an array with more than two axes the planes are shown that differ most from the reference (else the first), of a
    large plane a part; what is left out is said.
    """
    array = np.asarray(array)
    wrong = np.zeros(array.shape, bool) if reference is None else differs(array, np.asarray(reference))
    scale = _scale(array if reference is None else reference)
    parts = [_plane_html(array, wrong, index, scale) for index in planes(wrong)]
    shape = " × ".join(map(str, array.shape)) or "one number"
    caption = f"{html.escape(title)} <small>({shape}{', ' + _count(wrong) if reference is not None else ''})</small>"
    more = _left_out(array, len(parts))
    return _block(caption, "".join(parts) + more)


def heatmaps_html(actual, expected):
    """Two arrays of one shape and their difference, side by side; the planes that differ most."""
    wrong = differs(actual, expected)
    with np.errstate(all="ignore"):
        difference = np.where(actual == expected, 0, actual.astype("float64") - expected)
    scale = _scale(expected)
    columns = []
    for title, array, marks, its_scale in (("yours", actual, wrong, scale), ("expected", expected, None, scale),
                                           ("yours - expected", difference, wrong, _scale(difference))):
        marks = np.zeros(wrong.shape, bool) if marks is None else marks
        parts = "".join(_plane_html(array, marks, index, its_scale) for index in planes(wrong))
        columns.append(_block(title, parts))
    shape = " × ".join(map(str, actual.shape)) or "one number"
    left_out = _left_out(actual, len(planes(wrong)))
    return f"<div><small>{shape}, {_count(wrong)} {left_out}</small><br>{''.join(columns)}</div>"


def _block(title, content):
    return f'<div style="display: inline-block; vertical-align: top; margin: 0.5em"><div>{title}</div>{content}</div>'


def differs(actual, expected):
    """Boolean array: where two arrays of one shape differ by more than rounding; NaN differs from everything else."""
    with np.errstate(all="ignore"):
        scale = abs(np.where(np.isfinite(expected), expected, 0)).max(initial=0) or 1
        same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        return ~(same | (abs(np.subtract(actual, expected, dtype="complex128")) <= 1e-9 * scale))


def planes(wrong):
    """The leading indices of the planes to show, in order: those with the most wrong entries."""
    if wrong.ndim <= 2:
        return [()]
    counts = wrong.sum(axis=(-2, -1)).reshape(-1)
    chosen = sorted(np.argsort(-counts, kind="stable")[:MOST_PLANES])
    if counts.any():
        chosen = [number for number in chosen if counts[number]]
    return [tuple(int(i) for i in np.unravel_index(number, wrong.shape[:-2])) for number in chosen]


def color_of(value, scale):
    """CSS background and text colour of a number; scale: the largest that may come."""
    if not np.isfinite(value):
        return NOT_FINITE, "#000"
    share = min(abs(float(value)) / scale, 1.0)
    end = RED if value > 0 else BLUE
    red, green, blue = (round(255 + (part - 255) * share) for part in end)
    return f"rgb({red}, {green}, {blue})", "#fff" if share > 0.6 else "#000"


def _scale(array):
    finite = abs(np.asarray(array, "float64")[np.isfinite(array)])
    return float(finite.max(initial=0)) or 1.0


def _count(wrong):
    return f"{int(wrong.sum())} of {wrong.size} entries differ"


def _left_out(array, shown):
    texts = []
    if array.ndim > 2 and shown < np.prod(array.shape[:-2]):
        texts.append(f"{shown} of {int(np.prod(array.shape[:-2]))} planes")
    if array.ndim and (array.shape[-1] > MOST_COLUMNS or array.ndim > 1 and array.shape[-2] > MOST_ROWS):
        texts.append(f"at most {MOST_ROWS} × {MOST_COLUMNS} entries of each")
    return f"<small>Shown: {', '.join(texts)}.</small>" if texts else ""


def _plane_html(array, wrong, index, scale):
    plane, marks = np.atleast_2d(array[index] if index else array), np.atleast_2d(wrong[index] if index else wrong)
    row, column = _start(marks.any(axis=1), MOST_ROWS), _start(marks.any(axis=0), MOST_COLUMNS)
    rows = []
    for i in range(row, min(row + MOST_ROWS, plane.shape[0])):
        cells = [_cell(plane[i, j], marks[i, j], (*index, i, j)[-array.ndim:] if array.ndim else (), scale)
                 for j in range(column, min(column + MOST_COLUMNS, plane.shape[1]))]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    label = f"<div><small>[{', '.join(map(str, index))}]</small></div>" if index else ""
    return f'{label}<table style="border-collapse: separate; border-spacing: 2px">{"".join(rows)}</table>'


def _start(wrong, room):
    """The first row or column to show, so that a wrong one is among them."""
    if len(wrong) <= room or not wrong.any():
        return 0
    return int(min(max(wrong.argmax() - 1, 0), len(wrong) - room))


def _cell(value, is_wrong, index, scale):
    background, color = color_of(value, scale)
    border = "2px solid #e69f00" if is_wrong else "2px solid transparent"
    place = f"[{', '.join(map(str, index))}] = " if index else ""
    text = "NaN" if np.isnan(value) else ("∞" if value > 0 else "-∞") if np.isinf(value) else _short(value)
    style = f"background: {background}; color: {color}; border: {border}; {CELL}"
    return f'<td style="{style}" title="{place}{value!s}{", differs" if is_wrong else ""}">{text}</td>'


def _short(value):
    return str(value) if isinstance(value, (bool, np.bool_, np.integer, int)) else f"{value:.2g}"
