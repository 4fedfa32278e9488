"""The loss that training makes small: cross-entropy between the model's distribution and the targets."""

import numpy as np

from numpy_impl import checks
from numpy_impl.layers.softmax import log_softmax, log_softmax_backward
from numpy_impl.module import Module


def cross_entropy(logits, targets, ignore_index=-100, label_smoothing=0.0, target_count=None):
    """The mean over the targets of -log(probability of the target), with the probabilities softmax(logits).

    logits: (..., V). targets: (...) ints, each below V, or `ignore_index` where nothing is to be predicted.
    label_smoothing: float ε. The target gets 1 - ε of the probability wanted, and all V classes share ε evenly.
    target_count: int, what the sum is divided by; None for the number of targets that are not ignored. A batch that is
    cut into parts gives each part the count of the whole: then losses and gradients of the parts add up.
    Returns the loss, 0-d, and the cache. Raises ValueError if there is nothing to divide by (all targets ignored).
    A row of nothing but -inf has no distribution: its loss is NaN.
    Source: Szegedy et al. (2016), "Rethinking the Inception Architecture for Computer Vision", section 7.
    """
    counted = targets != ignore_index                            # (...)
    count = checks.target_count(target_count, counted)
    classes = np.where(counted, targets, 0)                      # (...), where ignored any class will do
    log_probabilities, log_softmax_cache = log_softmax(logits)   # (..., V)
    picked = np.take_along_axis(log_probabilities, classes[..., None], axis=-1)[..., 0]   # (...)
    if label_smoothing == 0:                                     # a case of its own: 0 times a masked logit is NaN
        smoothed = picked
    else:
        row_mean = log_probabilities.mean(axis=-1)               # (...)
        smoothed = picked * (1 - label_smoothing) + row_mean * label_smoothing   # (...)
    losses = np.where(counted, -smoothed, 0)                     # (...)
    total = losses.sum()                                         # 0-d
    loss = total / count                                         # 0-d
    return loss, (counted, count, classes, label_smoothing, log_softmax_cache, logits.shape, logits.dtype)


def cross_entropy_backward(d_loss, cache):
    """Return d_logits: (..., V), one step for each step of the forward. d_loss: 0-d, 1 where the loss is the end."""
    counted, count, classes, label_smoothing, log_softmax_cache, shape, dtype = cache
    num_classes = shape[-1]
    # loss = total / count
    d_total = d_loss / count                                     # 0-d
    # total = losses.sum()
    d_losses = np.full(counted.shape, d_total, dtype)            # (...)
    # losses = where(counted, -smoothed, 0)
    d_smoothed = np.where(counted, -d_losses, 0)                 # eq: cross-entropy-d-smoothed
    if label_smoothing == 0:
        # smoothed = picked
        d_picked = d_smoothed                                    # (...)
        d_log_probabilities_from_row_mean = 0
    else:
        # smoothed = picked * (1 - label_smoothing) + row_mean * label_smoothing
        d_picked = d_smoothed * (1 - label_smoothing)            # (...)
        d_row_mean = d_smoothed * label_smoothing                # (...)
        # row_mean = log_probabilities.mean(): each of the V classes has the same part in it
        d_log_probabilities_from_row_mean = d_row_mean[..., None] / num_classes      # (..., 1)
    # picked = log_probabilities at the classes
    one_hot = classes[..., None] == np.arange(num_classes)       # (..., V), True at the target
    d_log_probabilities_from_picked = d_picked[..., None] * one_hot      # eq: cross-entropy-d-picked
    d_log_probabilities = d_log_probabilities_from_picked + d_log_probabilities_from_row_mean
    # log_probabilities = log_softmax(logits)
    d_logits = log_softmax_backward(d_log_probabilities, log_softmax_cache)
    return d_logits


def cross_entropy_lean(logits, targets, ignore_index=-100, label_smoothing=0.0, target_count=None):
    """`cross_entropy` in one array, which ends as the probabilities that the backward pass needs.

    A row of nothing but -inf gives NaN.
    """
    counted = targets != ignore_index                            # (...)
    count = checks.target_count(target_count, counted)
    classes = np.where(counted, targets, 0)                      # (...)
    shifted = logits - logits.max(axis=-1, keepdims=True)        # (..., V)
    wanted = np.take_along_axis(shifted, classes[..., None], axis=-1)[..., 0]    # (...)
    if label_smoothing != 0:
        wanted = wanted * (1 - label_smoothing) + shifted.mean(axis=-1) * label_smoothing
    exponentials = np.exp(shifted, out=shifted)                  # (..., V), in the memory of shifted
    row_total = exponentials.sum(axis=-1, keepdims=True)         # (..., 1)
    probabilities = np.divide(exponentials, row_total, out=exponentials)     # (..., V), in the same memory
    losses = np.where(counted, np.log(row_total[..., 0]) - wanted, 0)    # (...)
    total = losses.sum()
    loss = total / count
    return loss, (probabilities, counted, count, classes, label_smoothing)


def cross_entropy_lean_backward(d_loss, cache):
    """`cross_entropy_backward` collapsed into probabilities minus smoothed targets, from `cross_entropy_lean`."""
    probabilities, counted, count, classes, label_smoothing = cache
    num_classes = probabilities.shape[-1]
    # From cross-entropy-d-smoothed through the gradient of log-softmax at once.
    scale = float(d_loss) / count
    rows = probabilities.reshape(-1, num_classes) * scale        # (N, V)
    rows -= scale * label_smoothing / num_classes
    rows[np.arange(len(rows)), classes.reshape(-1)] -= scale * (1 - label_smoothing)     # eq: cross-entropy-d-logits
    rows *= counted.reshape(-1, 1)                               # not `= 0`: a NaN stays one, as in the plain form
    d_logits = rows.reshape(probabilities.shape)
    return d_logits


class CrossEntropyLoss(Module):
    """Cross-entropy of logits with integer targets, as `cross_entropy`; `backward` starts the backward pass of a model.

    Forward takes logits: (..., V) of float32 or float64 and targets: (...) of int32 or int64; TypeError otherwise.
    Returns the loss, 0-d of the logits' dtype. Raises ValueError for a target out of range, another shape of the
    targets, a `target_count` below 1, and, where that is None, if all targets are ignored or the batch is empty.
    `ignore_index` may be a class, such as the padding's. `label_smoothing` is at least 0 and below 1, else ValueError.
    Source: Szegedy et al. (2016), "Rethinking the Inception Architecture for Computer Vision", section 7.
    """

    def __init__(self, ignore_index=-100, label_smoothing=0.0):
        super().__init__()
        self.ignore_index = ignore_index
        self.label_smoothing = checks.probability("label_smoothing", label_smoothing)

    def forward(self, logits, targets, target_count=None):
        checks.activations("logits", logits, np.ndarray)
        checks.targets("targets", targets, np.ndarray, logits=logits, ignore_index=self.ignore_index)
        forward, backward = ((cross_entropy, cross_entropy_backward) if self.plain
                             else (cross_entropy_lean, cross_entropy_lean_backward))
        loss, cache = forward(logits, targets, self.ignore_index, self.label_smoothing, target_count)
        self.save_for_backward((backward, cache), loss)
        return loss

    def backward(self, d_loss=1.0):
        backward, cache = self.saved(d_loss, "d_loss")
        return backward(d_loss, cache)
