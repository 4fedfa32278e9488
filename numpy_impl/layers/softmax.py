"""Softmax turns scores into weights that are positive and sum to 1; log-softmax gives their logarithms."""

import numpy as np

from numpy_impl import checks
from numpy_impl.module import Module

# Softmax


def softmax(x, axis=-1):
    """y = exp(x) / sum(exp(x)) along `axis`, with the row's maximum taken off first so that exp never overflows.

    x: (..., K) for axis -1; -inf stands for a masked score. Returns y of the same shape and the cache.
    A row of nothing but -inf (all masked) gives 0 everywhere, and gradient 0; a NaN or +inf gives NaN.
    Source: Bridle (1990), "Training Stochastic Model Recognition Algorithms as Networks can lead to Maximum Mutual
    Information Estimation of Parameters"; the shift: Goodfellow et al. (2016), "Deep Learning", section 4.1.
    """
    row_max = x.max(axis=axis, keepdims=True)                    # (..., 1)
    shift = np.where(row_max == -np.inf, 0, row_max)             # (..., 1), a constant: y is the same for any shift
    shifted = x - shift                                          # (..., K), at most 0
    exponentials = np.exp(shifted)                               # (..., K)
    total = exponentials.sum(axis=axis, keepdims=True)           # (..., 1), at least 1, or 0 where all is masked
    divisor = np.where(total == 0, 1, total)                     # (..., 1)
    y = exponentials / divisor                                   # (..., K)
    return y, (exponentials, total, divisor, y, axis)


def softmax_backward(d_y, cache):
    """Return d_x: (..., K), one step for each step of the forward."""
    exponentials, total, divisor, y, axis = cache
    # y = exponentials / divisor
    d_exponentials_from_y = d_y / divisor                        # (..., K)
    d_divisor = -(d_y * y / divisor).sum(axis=axis, keepdims=True)   # eq: softmax-d-divisor
    # divisor = where(total == 0, 1, total)
    d_total = np.where(total == 0, 0, d_divisor)                 # (..., 1)
    # total = exponentials.sum(): each exponential of the row takes part once
    d_exponentials = d_exponentials_from_y + d_total             # eq: softmax-d-exponentials
    # exponentials = exp(shifted)
    d_shifted = d_exponentials * exponentials                    # eq: softmax-d-shifted
    # shifted = x - shift
    d_x = d_shifted
    return d_x


def softmax_lean(x, axis=-1):
    """`softmax` in one array that each step overwrites. The cache is y alone: half the memory."""
    row_max = x.max(axis=axis, keepdims=True)                    # (..., 1)
    shift = np.where(row_max == -np.inf, 0, row_max)             # (..., 1)
    y = x - shift                                                # (..., K)
    np.exp(y, out=y)
    total = y.sum(axis=axis, keepdims=True)                      # (..., 1)
    y /= np.where(total == 0, 1, total)
    return y, (y, axis)


def softmax_lean_backward(d_y, cache):
    """`softmax_backward` collapsed into one formula, from the cache of `softmax_lean`."""
    y, axis = cache
    # From softmax-d-divisor to softmax-d-shifted at once: y / divisor times the sum, and exponentials / divisor is y.
    mean_d_y = (d_y * y).sum(axis=axis, keepdims=True)           # (..., 1), the mean of d_y in the weights y
    d_x = y * (d_y - mean_d_y)                                   # eq: softmax-d-x-collapsed
    return d_x


class Softmax(Module):
    """Softmax of (..., K) along `axis`.

    axis: an int. Forward takes x of float32 or float64. TypeError otherwise; ValueError if x has no such axis or it is
    empty.
    """

    def __init__(self, axis=-1):
        super().__init__()
        checks.integer("axis", axis)
        self.axis = axis

    def forward(self, x):
        checks.activations("x", x, np.ndarray)
        checks.axis("axis", self.axis, x)
        forward, backward = (softmax, softmax_backward) if self.plain else (softmax_lean, softmax_lean_backward)
        y, cache = forward(x, self.axis)
        self.save_for_backward((backward, cache), y)
        return y

    def backward(self, d_y):
        backward, cache = self.saved(d_y)
        return backward(d_y, cache)


# Log-softmax


def log_softmax(x, axis=-1):
    """y = x - log(sum(exp(x))) along `axis`, with the row's maximum taken off first so that exp never overflows.

    x: (..., K) for axis -1. Returns y of the same shape and the cache.
    A row of nothing but -inf has no distribution: it gives NaN, as torch's; so does a NaN or +inf.
    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.2.2.3.
    """
    row_max = x.max(axis=axis, keepdims=True)                    # (..., 1), a constant: y is the same for any shift
    shifted = x - row_max                                        # (..., K)
    exponentials = np.exp(shifted)                               # (..., K)
    total = exponentials.sum(axis=axis, keepdims=True)           # (..., 1)
    log_total = np.log(total)                                    # (..., 1)
    y = shifted - log_total                                      # (..., K)
    return y, (exponentials, total, y, axis)


def log_softmax_backward(d_y, cache):
    """Return d_x: (..., K), one step for each step of the forward."""
    exponentials, total, _, axis = cache
    # y = shifted - log_total
    d_shifted_from_y = d_y                                       # (..., K)
    d_log_total = -d_y.sum(axis=axis, keepdims=True)             # eq: log-softmax-d-log-total
    # log_total = log(total)
    d_total = d_log_total / total                                # (..., 1)
    # total = exponentials.sum()
    d_exponentials = np.broadcast_to(d_total, d_y.shape)         # (..., K)
    # exponentials = exp(shifted)
    d_shifted_from_exponentials = d_exponentials * exponentials      # (..., K)
    d_shifted = d_shifted_from_y + d_shifted_from_exponentials   # eq: log-softmax-d-shifted
    # shifted = x - row_max
    d_x = d_shifted
    return d_x


def log_softmax_lean_backward(d_y, cache):
    """`log_softmax_backward` collapsed into one formula."""
    _, _, y, axis = cache
    # From log-softmax-d-log-total to log-softmax-d-shifted at once: exponentials / total is exp(y).
    d_x = d_y - np.exp(y) * d_y.sum(axis=axis, keepdims=True)    # eq: log-softmax-d-x-collapsed
    return d_x


class LogSoftmax(Module):
    """Log-softmax of (..., K) along `axis`.

    axis: an int. Forward takes x of float32 or float64. TypeError otherwise; ValueError if x has no such axis or it is
    empty.
    """

    def __init__(self, axis=-1):
        super().__init__()
        checks.integer("axis", axis)
        self.axis = axis

    def forward(self, x):
        checks.activations("x", x, np.ndarray)
        checks.axis("axis", self.axis, x)
        y, cache = log_softmax(x, self.axis)
        backward = log_softmax_backward if self.plain else log_softmax_lean_backward
        self.save_for_backward((backward, cache), y)
        return y

    def backward(self, d_y):
        backward, cache = self.saved(d_y)
        return backward(d_y, cache)
