"""What the cells of the book's pages use: `from book import show, walk`.

A name's module is loaded when it is asked for: `verdicts` loads PyTorch, which takes a second, and few pages use it.

    show(x=x, y=y)               arrays under their names
    walk(f, x=x, d_y=d_y)        a run line by line: each statement, and what it assigned
    graph_of(f, x=x), Graph      the computation graph, drawn
    measured(name, value)        a number for the text: {glue:text}`name:.1e`
    verdicts(case, ...)          what every oracle says of cases of the tests
    operations(f, ...)           how many operations a function performs; cache_bytes: what it keeps
    bug_curves(name, ...)        training with a catalogued bug and without
    small_run(steps=...)         train a small model here and now; small_trainer: one that has not begun
    trained(task)                one that is trained already, kept on disk; attention_of(trainer, text): its weights
    shape_map(model, ids)        what shapes go into and come out of each module; value_map: each statement's
    heat(axes, array)            a matrix as a picture
    INK, BLUE, ORANGE, ...       the colours of all figures; new_figure(width, height) makes one
"""

import importlib

# {module: the names that are taken from it}
NAMES = {
    "checks": ("verdicts",),
    "costs": ("cache_bytes", "operations"),
    "graph": ("Graph", "graph_of"),
    "models": ("attention_of", "small_run", "small_trainer", "trained"),
    "numbers": ("measured", "show"),
    "shapes": ("shape_map", "value_map"),
    "style": ("BLUE", "COLOURS", "GREEN", "GREY", "INK", "ORANGE", "PAPER", "PURPLE", "WIDTH", "heat", "new_figure"),
    "training": ("bug_curves",),
    "walking": ("walk",),
}
MODULE_OF = {name: module for module, names in NAMES.items() for name in names}
__all__ = list(MODULE_OF)


def __getattr__(name):
    if name not in MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{MODULE_OF[name]}"), name)
