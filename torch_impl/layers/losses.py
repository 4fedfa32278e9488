"""The loss that training makes small: cross-entropy between the model's distribution and the targets."""

import torch

from numpy_impl import checks
from torch_impl.layers.softmax import log_softmax
from torch_impl.module import Module


def cross_entropy(logits, targets, ignore_index=-100, label_smoothing=0.0, target_count=None):
    """The mean over the targets of -log(probability of the target), with the probabilities softmax(logits).

    logits: (..., V). targets: (...) ints, each below V, or `ignore_index` where nothing is to be predicted.
    label_smoothing: float ε. The target gets 1 - ε of the probability wanted, and all V classes share ε evenly.
    target_count: int, what the sum is divided by; None for the number of targets that are not ignored. A batch that is
    cut into parts gives each part the count of the whole: then losses and gradients of the parts add up.
    Returns the loss, 0-d. Raises ValueError if there is nothing to divide by (all targets ignored).
    A row of nothing but -inf has no distribution: its loss is NaN.
    Source: Szegedy et al. (2016), "Rethinking the Inception Architecture for Computer Vision", section 7.
    """
    counted = targets != ignore_index                            # (...)
    count = checks.target_count(target_count, counted)
    classes = torch.where(counted, targets, 0)                   # (...), where ignored any class will do
    log_probabilities = log_softmax(logits)                      # (..., V)
    picked = torch.take_along_dim(log_probabilities, classes[..., None], dim=-1)[..., 0]   # (...)
    if label_smoothing == 0:                                     # a case of its own: 0 times a masked logit is NaN
        smoothed = picked
    else:
        row_mean = log_probabilities.mean(dim=-1)                # (...)
        smoothed = picked * (1 - label_smoothing) + row_mean * label_smoothing   # (...)
    losses = torch.where(counted, -smoothed, 0)                  # (...)
    total = losses.sum()                                         # 0-d
    loss = total / count                                         # 0-d
    return loss


class CrossEntropyLoss(Module):
    """Cross-entropy of logits with integer targets, as `cross_entropy`.

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
        checks.activations("logits", logits, torch.Tensor)
        checks.targets("targets", targets, torch.Tensor, logits=logits, ignore_index=self.ignore_index)
        return cross_entropy(logits, targets, self.ignore_index, self.label_smoothing, target_count)
