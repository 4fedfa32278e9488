"""Attention: each token asks (query) which tokens matter to it (key) and takes the mean of what they say (value)."""

import math

import numpy as np

from numpy_impl import checks
from numpy_impl.layers.dropout import Dropout, dropout, dropout_backward
from numpy_impl.layers.linear import Linear
from numpy_impl.layers.softmax import softmax, softmax_backward, softmax_lean, softmax_lean_backward
from numpy_impl.module import Module

# Scaled dot-product attention


def scaled_dot_product_attention(query, key, value, mask=None, keep=None, p=0.0):
    """softmax(Q Kᵀ / sqrt(d_k)) V, for each head of each batch element on its own.

    query: (B, H, Tq, Dh). key: (B, H, Tk, Dh). value: (B, H, Tk, Dv). mask: boolean, broadcasts to (B, H, Tq, Tk),
    True = may be attended to, or None. keep, p: dropout of the weights, see `dropout`.
    Returns output: (B, H, Tq, Dv), weights: (B, H, Tq, Tk) before dropout, and the cache.
    A query that may attend to nothing gets weights, output and gradients of 0.
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.2.1, eq. 1.
    """
    scale = 1 / math.sqrt(query.shape[-1])                       # keeps the variance of the scores near 1
    products = query @ key.swapaxes(-1, -2)                      # (B, H, Tq, Tk)
    scores = products * scale                                    # (B, H, Tq, Tk)
    masked_scores = scores if mask is None else np.where(mask, scores, -np.inf)
    weights, softmax_cache = softmax(masked_scores)              # (B, H, Tq, Tk), each row sums to 1
    dropped_weights, dropout_cache = dropout(weights, keep, p)
    output = dropped_weights @ value                             # (B, H, Tq, Dv)
    return output, weights, (query, key, value, mask, scale, dropped_weights, softmax_cache, dropout_cache)


def scaled_dot_product_attention_backward(d_output, cache):
    """Return d_query: (B, H, Tq, Dh), d_key: (B, H, Tk, Dh), d_value: (B, H, Tk, Dv)."""
    query, key, value, mask, scale, dropped_weights, softmax_cache, dropout_cache = cache
    # output = dropped_weights @ value
    d_dropped_weights = d_output @ value.swapaxes(-1, -2)        # eq: attention-d-dropped-weights
    d_value = dropped_weights.swapaxes(-1, -2) @ d_output        # eq: attention-d-value
    # dropped_weights = dropout(weights)
    d_weights = dropout_backward(d_dropped_weights, dropout_cache)
    # weights = softmax(masked_scores)
    d_masked_scores = softmax_backward(d_weights, softmax_cache)
    # masked_scores = where(mask, scores, -inf)
    d_scores = d_masked_scores if mask is None else np.where(mask, d_masked_scores, 0)
    # scores = products * scale
    d_products = d_scores * scale                                # eq: attention-d-products
    # products = query @ keyᵀ
    d_query = d_products @ key                                   # eq: attention-d-query
    d_key = d_products.swapaxes(-1, -2) @ query                  # eq: attention-d-key
    return d_query, d_key, d_value


def scaled_dot_product_attention_lean(query, key, value, mask=None, keep=None, p=0.0):
    """`scaled_dot_product_attention` with scores and weights in one array, and softmax's lean form."""
    scale = 1 / math.sqrt(query.shape[-1])
    scores = query @ key.swapaxes(-1, -2)                        # (B, H, Tq, Tk)
    scores *= scale
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)
    weights, softmax_cache = softmax_lean(scores)                # (B, H, Tq, Tk)
    dropped_weights, dropout_cache = dropout(weights, keep, p)
    output = dropped_weights @ value                             # (B, H, Tq, Dv)
    return output, weights, (query, key, value, scale, dropped_weights, softmax_cache, dropout_cache)


def scaled_dot_product_attention_lean_backward(d_output, cache):
    """The plain backward with softmax's collapsed gradient, which is 0 wherever the mask is False."""
    query, key, value, scale, dropped_weights, softmax_cache, dropout_cache = cache
    # The plain steps from attention-d-dropped-weights to attention-d-key, the softmax by softmax-d-x-collapsed.
    d_dropped_weights = d_output @ value.swapaxes(-1, -2)
    d_value = dropped_weights.swapaxes(-1, -2) @ d_output
    d_weights = dropout_backward(d_dropped_weights, dropout_cache)
    d_products = softmax_lean_backward(d_weights, softmax_cache)
    d_products *= scale
    d_query = d_products @ key
    d_key = d_products.swapaxes(-1, -2) @ query
    return d_query, d_key, d_value


# Heads: rearrangements of activations


def split_heads(x, num_heads):
    """Cut each token's features into heads: x (B, T, H * Dh) to (B, H, T, Dh), where H is num_heads.

    Returns the heads and the cache.
    A plain reshape to (B, H, T, Dh) would mix tokens: the features of one token lie side by side in x.
    """
    batch, length, width = x.shape
    by_token = x.reshape(batch, length, num_heads, width // num_heads)   # (B, T, H, Dh)
    heads = by_token.transpose(0, 2, 1, 3)                       # (B, H, T, Dh)
    return heads, x.shape


def split_heads_backward(d_heads, cache):
    """Return d_x: (B, T, H * Dh); each gradient goes back to where its value came from."""
    x_shape = cache
    d_by_token = d_heads.transpose(0, 2, 1, 3)                   # (B, T, H, Dh)
    d_x = d_by_token.reshape(x_shape)
    return d_x


def merge_heads(heads):
    """Put the heads of each token side by side again: (B, H, T, Dh) to (B, T, H * Dh). Returns x and the cache.

    Source: Vaswani et al. (2017), sec. 3.2.2, "Concat".
    """
    batch, num_heads, length, d_head = heads.shape
    by_token = heads.transpose(0, 2, 1, 3)                       # (B, T, H, Dh)
    x = by_token.reshape(batch, length, num_heads * d_head)      # (B, T, H * Dh)
    return x, heads.shape


def merge_heads_backward(d_x, cache):
    """Return d_heads: (B, H, T, Dh)."""
    batch, num_heads, length, d_head = cache
    d_by_token = d_x.reshape(batch, length, num_heads, d_head)   # (B, T, H, Dh)
    d_heads = d_by_token.transpose(0, 2, 1, 3)
    return d_heads


def repeat_heads(heads, group_size):
    """Let each key/value head serve `group_size` neighbouring query heads: (B, Hkv, T, Dh) to (B, H, T, Dh).

    Returns the repeated heads and the cache.
    Source: Ainslie et al. (2023), "GQA: Training Generalized Multi-Query Transformer Models", sec. 2.2.
    """
    repeated = np.repeat(heads, group_size, axis=1) if group_size > 1 else heads
    return repeated, group_size


def repeat_heads_backward(d_repeated, cache):
    """Return d_heads: (B, Hkv, T, Dh): a head that was used group_size times collects the sum of its gradients."""
    group_size = cache
    batch, num_heads, length, d_head = d_repeated.shape
    by_group = d_repeated.reshape(batch, num_heads // group_size, group_size, length, d_head)
    d_heads = by_group.sum(axis=2)                               # eq: attention-d-group
    return d_heads


# Multi-head attention


class MultiHeadAttention(Module):
    """Attention in several heads, each on its own projections of query, key and value.

    forward(query, key, value, mask=None, return_weights=False): query (B, Tq, D), key and value (B, Tk, D); mask
    boolean, broadcasts to (B, H, Tq, Tk), True = may be attended to. Returns (B, Tq, D), with return_weights also the
    weights (B, H, Tq, Tk) before dropout, for looking at: they carry no gradient. Inside a model, set `keep_weights` to
    True: then each forward pass leaves its weights in `kept_weights`.
    backward(d_output) returns d_query, d_key, d_value.
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
        checks.attention(self.argument_names, query, key, value, mask, np.ndarray, self.d_model, self.num_heads,
                         self.query_projection.weight.dtype)
        projected_query = self.query_projection(query)           # (B, Tq, H * Dh)
        projected_key = self.key_projection(key)                 # (B, Tk, Hkv * Dh)
        projected_value = self.value_projection(value)           # (B, Tk, Hkv * Dh)
        query_heads, query_cache = split_heads(projected_query, self.num_heads)              # (B, H, Tq, Dh)
        key_heads, key_cache = split_heads(projected_key, self.num_key_value_heads)          # (B, Hkv, Tk, Dh)
        value_heads, value_cache = split_heads(projected_value, self.num_key_value_heads)    # (B, Hkv, Tk, Dh)
        group_size = self.num_heads // self.num_key_value_heads
        repeated_keys, group_cache = repeat_heads(key_heads, group_size)                     # (B, H, Tk, Dh)
        repeated_values, _ = repeat_heads(value_heads, group_size)                           # (B, H, Tk, Dh)
        keep = self.dropout.draw_keep((*query_heads.shape[:-1], key.shape[1]))               # (B, H, Tq, Tk) or None
        if self.plain:
            attention, attention_backward = scaled_dot_product_attention, scaled_dot_product_attention_backward
        else:
            attention, attention_backward = (scaled_dot_product_attention_lean,
                                             scaled_dot_product_attention_lean_backward)
        heads, weights, attention_cache = attention(
            query_heads, repeated_keys, repeated_values, mask, keep, self.dropout.p)         # (B, H, Tq, Dh)
        concatenated, merge_cache = merge_heads(heads)           # (B, Tq, H * Dh)
        output = self.output_projection(concatenated)            # (B, Tq, D)
        self.save_for_backward((query_cache, key_cache, value_cache, group_cache,
                                attention_backward, attention_cache, merge_cache), output)
        if self.keep_weights:
            self.kept_weights = weights
        return (output, weights) if return_weights else output

    def backward(self, d_output):
        (query_cache, key_cache, value_cache, group_cache,
         attention_backward, attention_cache, merge_cache) = self.saved(d_output, "d_output")
        d_concatenated = self.output_projection.backward(d_output)
        d_heads = merge_heads_backward(d_concatenated, merge_cache)
        d_query_heads, d_repeated_keys, d_repeated_values = attention_backward(d_heads, attention_cache)
        d_key_heads = repeat_heads_backward(d_repeated_keys, group_cache)
        d_value_heads = repeat_heads_backward(d_repeated_values, group_cache)
        d_projected_query = split_heads_backward(d_query_heads, query_cache)
        d_projected_key = split_heads_backward(d_key_heads, key_cache)
        d_projected_value = split_heads_backward(d_value_heads, value_cache)
        d_query = self.query_projection.backward(d_projected_query)
        d_key = self.key_projection.backward(d_projected_key)
        d_value = self.value_projection.backward(d_projected_value)
        return d_query, d_key, d_value


class SelfAttention(MultiHeadAttention):
    """Multi-head attention of a sequence to itself: the queries, keys and values are all projections of x.

    forward(x, mask=None, return_weights=False) with x: (B, T, D). Sizes and errors as MultiHeadAttention.
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.2.3.
    """

    argument_names = ("x", "x", "x", "mask")

    def forward(self, x, mask=None, return_weights=False):
        return super().forward(x, x, x, mask, return_weights)

    def backward(self, d_output):
        d_x_from_query, d_x_from_key, d_x_from_value = super().backward(d_output)
        d_x = d_x_from_query + d_x_from_key + d_x_from_value     # eq: self-attention-d-x
        return d_x


class CrossAttention(MultiHeadAttention):
    """Multi-head attention of x to a memory: the queries are projections of x, keys and values of the memory.

    forward(x, memory, memory_mask=None, return_weights=False) with x: (B, Tq, D), memory: (B, Tk, D), memory_mask:
    broadcasts to (B, H, Tq, Tk). backward(d_output) returns d_x, d_memory. Sizes and errors as MultiHeadAttention.
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.2.3.
    """

    argument_names = ("x", "memory", "memory", "memory_mask")

    def forward(self, x, memory, memory_mask=None, return_weights=False):
        return super().forward(x, memory, memory, memory_mask, return_weights)

    def backward(self, d_output):
        d_x, d_memory_from_key, d_memory_from_value = super().backward(d_output)
        d_memory = d_memory_from_key + d_memory_from_value       # eq: cross-attention-d-memory
        return d_x, d_memory
