"""What the cells of the book's pages use. A page begins with `from book import *` or names what it needs.

    show(x=x, y=y)               arrays under their names
    walk(f, x=x, d_y=d_y)        a run line by line: each statement, and what it assigned
    graph_of(f, x=x), Graph      the computation graph, drawn
    measured(name, value)        a number for the text: {glue:text}`name:.1e`
    verdicts(case, ...)          what every oracle says of cases of the tests
    operations(f, ...)           how many operations a function performs; cache_bytes: what it keeps
    bug_curves(name, ...)        training with a catalogued bug and without
    INK, BLUE, ORANGE, ...       the colours of all figures; new_figure(width, height) makes one
"""

from book.checks import verdicts
from book.costs import cache_bytes, operations
from book.graph import Graph, graph_of
from book.numbers import measured, show
from book.style import BLUE, COLOURS, GREEN, GREY, INK, ORANGE, PAPER, PURPLE, new_figure
from book.training import bug_curves
from book.walking import walk

__all__ = ["BLUE", "COLOURS", "GREEN", "GREY", "Graph", "INK", "ORANGE", "PAPER", "PURPLE", "bug_curves",
           "cache_bytes", "graph_of", "measured", "new_figure", "operations", "show", "verdicts", "walk"]
