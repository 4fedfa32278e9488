"""Embedding: each id picks its row of a trained table."""

import math

import numpy as np

from numpy_impl import checks, initialization
from numpy_impl.module import Module, Parameter


def embedding(ids, weight, padding_idx, scale):
    """y = weight[ids] * scale. It is one_hot @ weight, with a row of V numbers for each id: 1 at the id, 0 elsewhere.

    ids: (...) ints. weight: (V, D). padding_idx: int, the row that gets no gradient, or None. scale: float.
    Returns y: (..., D) and the cache.
    """
    rows = weight[ids]                                           # (..., D)
    y = rows * scale                                             # (..., D)
    return y, (ids, weight.shape, padding_idx, scale)


def embedding_backward(d_y, cache):
    """Return d_weight: (V, D). An id that occurs several times collects the gradient of all its places."""
    from scipy.sparse import csr_array

    ids, weight_shape, padding_idx, scale = cache
    num_embeddings, d_model = weight_shape
    # y = rows * scale
    d_rows = d_y * scale                                         # (..., D)
    # rows = one_hot @ weight: one_hot.T is almost all 0, so only its ones are stored; padding has none
    flat_ids = ids.reshape(-1)                                   # (N,)
    places = np.arange(flat_ids.size) if padding_idx is None else np.flatnonzero(flat_ids != padding_idx)
    ones = np.ones(places.size, d_rows.dtype)
    one_hot_transposed = csr_array((ones, (flat_ids[places], places)), shape=(num_embeddings, flat_ids.size))
    d_weight = one_hot_transposed @ d_rows.reshape(-1, d_model)  # eq: embedding-d-weight
    return d_weight


class Embedding(Module):
    """A trained table `weight` (num_embeddings, d_model): each id becomes its row.

    padding_idx: int or None; that row is 0 at first and gets no gradient from here, as torch.nn.Embedding's.
    scale: bool; True multiplies the rows by sqrt(d_model), as the 2017 model does.
    Forward takes ids: (...) of int32 or int64 (TypeError otherwise), each at least 0 and below num_embeddings
    (ValueError), and returns (..., d_model). Backward returns None: ids have no gradient.
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
        self.weight = Parameter(values)

    def forward(self, ids):
        checks.ids("ids", ids, np.ndarray, size=self.num_embeddings)
        y, cache = embedding(ids, self.weight.data, self.padding_idx, self.scale)
        self.save_for_backward(cache, y)
        return y

    def backward(self, d_y):
        d_weight = embedding_backward(d_y, self.saved(d_y))
        self.weight.grad += d_weight
