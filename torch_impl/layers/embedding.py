"""Embedding: each id picks its row of a trained table."""

import math

import torch
import torch.nn.functional as F

from numpy_impl import checks, initialization
from torch_impl.module import Module, Parameter, tensor


def embedding(ids, weight, padding_idx, scale):
    """y = weight[ids] * scale. It is one_hot @ weight, with a row of V numbers for each id: 1 at the id, 0 elsewhere.

    ids: (...) ints. weight: (V, D). padding_idx: int, the row that gets no gradient, or None. scale: float.
    Returns y: (..., D).
    """
    rows = F.embedding(ids, weight, padding_idx)                 # (..., D)
    y = rows * scale                                             # (..., D)
    return y


class Embedding(Module):
    """A trained table `weight` (num_embeddings, d_model): each id becomes its row.

    padding_idx: int or None; that row is 0 at first and gets no gradient from here, as torch.nn.Embedding's.
    scale: bool; True multiplies the rows by sqrt(d_model), as the 2017 model does.
    Forward takes ids: (...) of int32 or int64 (TypeError otherwise), each at least 0 and below num_embeddings
    (ValueError), and returns (..., d_model).
    Initial values are normal with standard deviation 1 / sqrt(d_model), so that scaled rows have variance 1.
    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.4 (the scale).
    """

    def __init__(self, num_embeddings, d_model, padding_idx=None, scale=False, *, rng=None, dtype="float32"):
        super().__init__()
        checks.positive_int("num_embeddings", num_embeddings)
        checks.positive_int("d_model", d_model)
        dtype = checks.parameter_dtype(dtype)
        self.num_embeddings = num_embeddings
        self.padding_idx = padding_idx
        self.scale = math.sqrt(d_model) if scale else 1.0
        values = initialization.normal(rng, d_model**-0.5, (num_embeddings, d_model), dtype)
        if padding_idx is not None:
            checks.index("padding_idx", padding_idx, num_embeddings)
            if not initialization.is_shapes_only():
                values[padding_idx] = 0
        self.weight = Parameter(tensor(values))

    def forward(self, ids):
        checks.ids("ids", ids, torch.Tensor, size=self.num_embeddings)
        return embedding(ids, self.weight, self.padding_idx, self.scale)
