"""Masks for attention: boolean arrays, True where a query may attend to a key, that broadcast to (B, H, Tq, Tk)."""

import functools
import operator

import torch

from numpy_impl import checks


def padding_mask(ids, padding_idx):
    """Hide the padding: every query may attend to the keys whose id is not `padding_idx`.

    ids: (B, T) of int32 or int64, at least 0. padding_idx: int at least 0. Returns a boolean (B, 1, 1, T).
    Raises TypeError for another type, ValueError for another shape, a negative id or T = 0.
    """
    checks.index("padding_idx", padding_idx)
    checks.ids("ids", ids, torch.Tensor, rank=2)
    return (ids != padding_idx)[:, None, None, :]


def causal_mask(length):
    """Hide the future: query i may attend to the keys 0 .. i. Returns a boolean (1, 1, length, length).

    Raises TypeError unless `length` is an int, ValueError unless it is at least 1.
    """
    checks.positive_int("length", length)
    query = torch.arange(length)[:, None]                            # (T, 1)
    key = torch.arange(length)[None, :]                              # (1, T)
    return (key <= query)[None, None]


def sliding_window_mask(num_queries, num_keys, window, causal=True):
    """Hide what is far: query i may attend to the keys i - window + 1 .. i, `window` of them with its own.

    With causal=False it may attend to the keys j with |i - j| < window, on both sides. Returns a boolean
    (1, 1, num_queries, num_keys). Raises TypeError unless the numbers are ints, ValueError unless they are at least 1.
    Source: Beltagy, Peters and Cohan (2020), "Longformer", section 3.1; causal as in Jiang et al. (2023), "Mistral 7B".
    """
    checks.positive_int("num_queries", num_queries)
    checks.positive_int("num_keys", num_keys)
    checks.positive_int("window", window)
    query = torch.arange(num_queries)[:, None]                       # (Tq, 1)
    key = torch.arange(num_keys)[None, :]                            # (1, Tk)
    ahead = 0 if causal else window - 1                          # how far past its own position a query sees
    return ((key > query - window) & (key <= query + ahead))[None, None]


def combine_masks(*masks):
    """A key may be attended to where every mask says so. None hides nothing; without any mask the result is None.

    masks: booleans of shapes that broadcast together, such as (B, 1, 1, T) and (1, 1, T, T), which give (B, 1, T, T).
    Raises TypeError for a mask that is not boolean, ValueError for shapes that do not fit.
    """
    present = [mask for mask in masks if mask is not None]
    checks.masks(present, torch.Tensor)
    return functools.reduce(operator.and_, present) if present else None
