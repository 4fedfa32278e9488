"""Attention: each token asks (query) which tokens matter to it (key) and takes the mean of what they say (value)."""

import math

import numpy as np
import torch

from numpy_impl import checks
from torch_impl.layers.dropout import Dropout, dropout
from torch_impl.layers.linear import Linear
from torch_impl.layers.softmax import softmax
from torch_impl.module import Module

# Scaled dot-product attention


def scaled_dot_product_attention(query, key, value, mask=None, keep=None, p=0.0):
    """softmax(Q Kᵀ / sqrt(d_k)) V, for each head of each batch element on its own.

    query: (B, H, Tq, Dh). key: (B, H, Tk, Dh). value: (B, H, Tk, Dv). mask: boolean, broadcasts to (B, H, Tq, Tk),
    True = may be attended to, or None. keep, p: dropout of the weights, see `dropout`.
    Returns output: (B, H, Tq, Dv) and weights: (B, H, Tq, Tk) before dropout.
    A query that may attend to nothing gets weights, output and gradients of 0.
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.2.1, eq. 1.
    """
    scale = 1 / math.sqrt(query.shape[-1])                       # keeps the variance of the scores near 1
    products = query @ key.transpose(-1, -2)                     # (B, H, Tq, Tk)
    scores = products * scale                                    # (B, H, Tq, Tk)
    masked_scores = scores if mask is None else torch.where(mask, scores, -torch.inf)
    weights = softmax(masked_scores)                             # (B, H, Tq, Tk), each row sums to 1
    dropped_weights = dropout(weights, keep, p)
    output = dropped_weights @ value                             # (B, H, Tq, Dv)
    return output, weights


# Heads: rearrangements of activations


def split_heads(x, num_heads):
    """Cut each token's features into heads: x (B, T, H * Dh) to (B, H, T, Dh), where H is num_heads.

    A plain reshape to (B, H, T, Dh) would mix tokens: the features of one token lie side by side in x.
    """
    batch, length, width = x.shape
    by_token = x.reshape(batch, length, num_heads, width // num_heads)   # (B, T, H, Dh)
    heads = by_token.permute(0, 2, 1, 3)                         # (B, H, T, Dh)
    return heads


def merge_heads(heads):
    """Put the heads of each token side by side again: (B, H, T, Dh) to (B, T, H * Dh).

    Source: Vaswani et al. (2017), sec. 3.2.2, "Concat".
    """
    batch, num_heads, length, d_head = heads.shape
    by_token = heads.permute(0, 2, 1, 3)                         # (B, T, H, Dh)
    x = by_token.reshape(batch, length, num_heads * d_head)      # (B, T, H * Dh)
    return x


def repeat_heads(heads, group_size):
    """Let each key/value head serve `group_size` neighbouring query heads: (B, Hkv, T, Dh) to (B, H, T, Dh).

    Source: Ainslie et al. (2023), "GQA: Training Generalized Multi-Query Transformer Models", sec. 2.2.
    """
    repeated = heads.repeat_interleave(group_size, dim=1) if group_size > 1 else heads
    return repeated


# Multi-head attention


class MultiHeadAttention(Module):
    """Attention in several heads, each on its own projections of query, key and value.

    forward(query, key, value, mask=None, return_weights=False): query (B, Tq, D), key and value (B, Tk, D); mask
    boolean, broadcasts to (B, H, Tq, Tk), True = may be attended to. Returns (B, Tq, D), with return_weights also the
    weights (B, H, Tq, Tk) before dropout, for looking at: they carry no gradient. Inside a model, set `keep_weights` to
    True: then each forward pass leaves its weights in `kept_weights`.
    num_key_value_heads: fewer heads for key and value, each shared by a group of query heads (default: num_heads).
    Errors: d_model not divisible by num_heads, num_heads not by num_key_value_heads, wrong shapes (ValueError), dtypes
    (TypeError).
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.2.2; grouped heads: Ainslie et al. (2023).
    Departures: the projections have biases unless bias=False, the paper writes none; dropout of the weights, as the
    authors' code has it.
    """

    argument_names = ("query", "key", "value", "mask")    # what a caller of forward calls them, for errors

    def __init__(self, d_model, num_heads, num_key_value_heads=None, bias=True, dropout=0.0, *,
                 rng=None, dtype="float32"):
        super().__init__()
        num_key_value_heads = num_heads if num_key_value_heads is None else num_key_value_heads
        checks.heads(d_model, num_heads, num_key_value_heads)
        checks.probability("dropout", dropout)
        rng = np.random.default_rng(rng)
        d_head = d_model // num_heads
        self.d_model = d_model
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.query_projection = Linear(d_model, num_heads * d_head, bias, rng=rng, dtype=dtype)
        self.key_projection = Linear(d_model, num_key_value_heads * d_head, bias, rng=rng, dtype=dtype)
        self.value_projection = Linear(d_model, num_key_value_heads * d_head, bias, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.output_projection = Linear(num_heads * d_head, d_model, bias, rng=rng, dtype=dtype)
        self.keep_weights = False
        self.kept_weights = None

    def forward(self, query, key, value, mask=None, return_weights=False):
        checks.attention(self.argument_names, query, key, value, mask, torch.Tensor, self.d_model, self.num_heads,
                         self.query_projection.weight.dtype)
        projected_query = self.query_projection(query)           # (B, Tq, H * Dh)
        projected_key = self.key_projection(key)                 # (B, Tk, Hkv * Dh)
        projected_value = self.value_projection(value)           # (B, Tk, Hkv * Dh)
        query_heads = split_heads(projected_query, self.num_heads)                           # (B, H, Tq, Dh)
        key_heads = split_heads(projected_key, self.num_key_value_heads)                     # (B, Hkv, Tk, Dh)
        value_heads = split_heads(projected_value, self.num_key_value_heads)                 # (B, Hkv, Tk, Dh)
        group_size = self.num_heads // self.num_key_value_heads
        repeated_keys = repeat_heads(key_heads, group_size)                                  # (B, H, Tk, Dh)
        repeated_values = repeat_heads(value_heads, group_size)                              # (B, H, Tk, Dh)
        keep = self.dropout.draw_keep((*query_heads.shape[:-1], key.shape[1]))               # (B, H, Tq, Tk) or None
        heads, weights = scaled_dot_product_attention(
            query_heads, repeated_keys, repeated_values, mask, keep, self.dropout.p)         # (B, H, Tq, Dh)
        concatenated = merge_heads(heads)                        # (B, Tq, H * Dh)
        output = self.output_projection(concatenated)            # (B, Tq, D)
        if self.keep_weights:
            self.kept_weights = weights.detach()
        return (output, weights.detach()) if return_weights else output


class SelfAttention(MultiHeadAttention):
    """Multi-head attention of a sequence to itself: the queries, keys and values are all projections of x.

    forward(x, mask=None, return_weights=False) with x: (B, T, D). Sizes and errors as MultiHeadAttention.
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.2.3.
    """

    argument_names = ("x", "x", "x", "mask")

    def forward(self, x, mask=None, return_weights=False):
        return super().forward(x, x, x, mask, return_weights)


class CrossAttention(MultiHeadAttention):
    """Multi-head attention of x to a memory: the queries are projections of x, keys and values of the memory.

    forward(x, memory, memory_mask=None, return_weights=False) with x: (B, Tq, D), memory: (B, Tk, D), memory_mask:
    broadcasts to (B, H, Tq, Tk). Sizes and errors as MultiHeadAttention.
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.2.3.
    """

    argument_names = ("x", "memory", "memory", "memory_mask")

    def forward(self, x, memory, memory_mask=None, return_weights=False):
        return super().forward(x, memory, memory, memory_mask, return_weights)
