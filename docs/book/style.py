"""One style for all figures: they are readable on white and on black paper, and by those who see few hues.

A figure is at most WIDTH inches wide, so that its letters can still be read on a telephone.
"""

import matplotlib
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
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e7eb",
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


use_vectors()
