"""One style for all figures: they are readable on white and on black paper, and by those who see few hues.

A figure is at most WIDTH inches wide, so that its letters can still be read on a telephone.
"""

import matplotlib
import numpy as np
from matplotlib import pyplot as plt

WIDTH = 5.2
# Of Okabe and Ito's palette, whose hues differ for every eye. ORANGE is what flows backward.
INK, PAPER, GREY = "#1f2733", "#ffffff", "#7d8894"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#aa4499"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY)

matplotlib.rcParams.update({
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER,    # its own paper, on any page
    "figure.constrained_layout.use": True,
    "font.size": 10, "axes.titlesize": 10, "axes.titlelocation": "left", "legend.fontsize": 9,
    "axes.labelcolor": INK, "axes.edgecolor": GREY, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#e3e7eb",
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS), "lines.linewidth": 1.6,
    "legend.frameon": False, "image.cmap": "viridis",
    "svg.hashsalt": "book",    # the same picture has the same bytes
})


def use_vectors():
    """In a cell: figures become SVG for the web and PDF for print."""
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("svg", "pdf")


def new_figure(width=WIDTH, height=3.0, rows=1, columns=1, **options):
    """(figure, axes) of this size in inches. options: those of `plt.subplots`."""
    return plt.subplots(rows, columns, figsize=(width, height), **options)


def heat(axes, array, rows=(), columns=(), title="", numbers="", **options):
    """Draw a matrix as a heat map on `axes`. Returns the image, for a colour bar.

    rows, columns: what to write beside each. numbers: a format such as ".2f" to write each number into its cell.
    options: those of `imshow`, such as vmin=0, vmax=1; a map whose numbers have both signs wants cmap="RdBu_r".
    """
    array = np.asarray(array)
    image = axes.imshow(array, aspect="equal", interpolation="nearest", **options)
    axes.grid(False)
    axes.set_title(title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    if numbers:
        for (row, column), value in np.ndenumerate(array):
            dark = np.dot(image.to_rgba(value)[:3], (0.3, 0.59, 0.11)) < 0.5
            axes.text(column, row, format(value, numbers), ha="center", va="center", fontsize=8,
                      color=PAPER if dark else INK)
    return image


use_vectors()
