"""What a catalogued bug does to training: the same small model, with the bug and without."""

import functools

import numpy as np

from book.style import COLOURS, INK, new_figure
from parity_tests.harness.bugs import all_bugs, training

STEP, LOSS, RIGHT = "step", "loss (nats per symbol)", "without a bug"
WINDOW = 10    # steps that a point of a curve is the mean of


@functools.cache
def with_bug(name, steps, seed):
    """The Outcome with a bug of the catalogue."""
    return training.train(all_bugs()[name], True, steps, seed)


_RIGHT = {}


def without_bug(name, steps, seed):
    """The Outcome of the same run without the bug; bugs whose runs are equal but for them share it."""
    bug = all_bugs()[name]
    key = repr(training.choices(bug)), "_lean" in bug.function, steps, seed
    if key not in _RIGHT:
        _RIGHT[key] = training.train(bug, False, steps, seed)
    return _RIGHT[key]


def bug_curves(*names, steps=300, seed=0):
    """Draw the loss of a small model in training: without a bug, and with each of these of the catalogue.

    It learns to turn round words of six letters. Returns {name: Outcome}, without a bug under "".
    """
    found = {"": without_bug(names[0], steps, seed), **{name: with_bug(name, steps, seed) for name in names}}
    _, axes = new_figure(height=3.2)
    for (name, one), colour in zip(found.items(), (INK, *COLOURS)):
        losses = np.array(one.losses)
        smooth = np.convolve(losses, np.ones(WINDOW) / WINDOW, mode="valid") if len(losses) >= WINDOW else losses
        axes.plot(np.arange(len(smooth)) + WINDOW, smooth, color=colour, label=name or RIGHT)
        if one.stopped:
            axes.plot(len(losses), losses[-1] if len(losses) else 0, "x", color=colour)
    axes.set(xlabel=STEP, ylabel=LOSS, xlim=(0, steps))
    axes.legend(loc="best")
    return found
