"""Softmax turns scores into weights that are positive and sum to 1; log-softmax gives their logarithms."""

import torch

from numpy_impl import checks
from torch_impl.module import Module

# Softmax


def softmax(x, axis=-1):
    """y = exp(x) / sum(exp(x)) along `axis`, with the row's maximum taken off first so that exp never overflows.

    x: (..., K) for axis -1; -inf stands for a masked score. Returns y of the same shape.
    A row of nothing but -inf (all masked) gives 0 everywhere, and gradient 0; a NaN or +inf gives NaN.
    Source: Bridle (1990), "Training Stochastic Model Recognition Algorithms as Networks can lead to Maximum Mutual
    Information Estimation of Parameters"; the shift: Goodfellow et al. (2016), "Deep Learning", section 4.1.
    """
    row_max = x.detach().amax(dim=axis, keepdim=True)            # (..., 1)
    shift = torch.where(row_max == -torch.inf, 0, row_max)       # (..., 1), a constant: y is the same for any shift
    shifted = x - shift                                          # (..., K), at most 0
    exponentials = torch.exp(shifted)                            # (..., K)
    total = exponentials.sum(dim=axis, keepdim=True)             # (..., 1), at least 1, or 0 where all is masked
    divisor = torch.where(total == 0, 1, total)                  # (..., 1)
    y = exponentials / divisor                                   # (..., K)
    return y


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
        checks.activations("x", x, torch.Tensor)
        checks.axis("axis", self.axis, x)
        return softmax(x, self.axis)


# Log-softmax


def log_softmax(x, axis=-1):
    """y = x - log(sum(exp(x))) along `axis`, with the row's maximum taken off first so that exp never overflows.

    x: (..., K) for axis -1. Returns y of the same shape.
    A row of nothing but -inf has no distribution: it gives NaN, as torch's; so does a NaN or +inf.
    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.2.2.3.
    """
    row_max = x.detach().amax(dim=axis, keepdim=True)            # (..., 1), a constant: y is the same for any shift
    shifted = x - row_max                                        # (..., K)
    exponentials = torch.exp(shifted)                            # (..., K)
    total = exponentials.sum(dim=axis, keepdim=True)             # (..., 1)
    log_total = torch.log(total)                                 # (..., 1)
    y = shifted - log_total                                      # (..., K)
    return y


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
        checks.activations("x", x, torch.Tensor)
        checks.axis("axis", self.axis, x)
        return log_softmax(x, self.axis)
