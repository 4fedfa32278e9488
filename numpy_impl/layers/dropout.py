"""Dropout: in training, a random part of the values is set to 0."""

import numpy as np

from numpy_impl import checks
from numpy_impl.module import Module
from numpy_impl.random import dropout_keep


def dropout(x, keep, p):
    """Set x to 0 where `keep` is False, and scale the rest by 1 / (1 - p), so that the expected value stays x.

    x: any shape. keep: boolean of the same shape, or None for y = x. p: float, the probability of False in `keep`.
    Returns y: of x's shape and dtype, and the cache.
    Source: Srivastava et al. (2014), "Dropout", section 10 (scaled in training, not in evaluation).
    """
    if keep is None:
        return x, (None,)
    factor = keep.astype(x.dtype) * (1 / (1 - p))                # of x's shape: 0 or 1 / (1 - p)
    y = x * factor
    return y, (factor,)


def dropout_backward(d_y, cache):
    """Return d_x, of d_y's shape: the values that were dropped get no gradient."""
    factor, = cache
    # y = x * factor, or y = x
    d_x = d_y if factor is None else d_y * factor                # eq: dropout-d-x
    return d_x


class Dropout(Module):
    """Dropout with probability p of each value of x; in evaluation, or with p = 0, y = x.

    The mask depends on the seed, the step and the first row (see `Module.set_dropout`) and on the module's path. The
    step moves on by one with each mask, so that a loop which never calls `set_dropout` still gets fresh masks. Two
    Dropouts of the same path, such as two that stand alone, draw the same masks.
    Forward takes x: (B, ...) of float32 or float64; TypeError otherwise.
    p: TypeError unless it is a number, ValueError unless 0 <= p < 1.
    Source: Srivastava et al. (2014), "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    Departures: kept values are scaled up in training; the paper scales the weights down in evaluation.
    """

    def __init__(self, p):
        super().__init__()
        self.p = checks.probability("p", p)
        self.dropout_seed = 0
        self.dropout_step = 0
        self.dropout_first_row = 0

    def draw_keep(self, shape):
        """The boolean mask for values of `shape`, True where one is kept; None where dropout is off."""
        if not self.training or self.p == 0:
            return None
        keep = dropout_keep(tuple(shape), self.p, seed=self.dropout_seed, step=self.dropout_step, path=self.path,
                            first_row=self.dropout_first_row)
        self.dropout_step += 1
        return keep

    def forward(self, x):
        checks.activations("x", x, np.ndarray)
        keep = self.draw_keep(x.shape)
        y, cache = dropout(x, keep, self.p)
        self.save_for_backward(cache, y)
        return y

    def backward(self, d_y):
        return dropout_backward(d_y, self.saved(d_y))
