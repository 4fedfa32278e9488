"""The decoder: writes the target token by token, looking at what it has written and at the encoder's memory."""

import numpy as np

from numpy_impl import checks
from numpy_impl.layers.attention import CrossAttention, SelfAttention
from numpy_impl.layers.feed_forward import FeedForward
from numpy_impl.layers.normalization import LayerNorm
from numpy_impl.layers.residual import ResidualConnection
from numpy_impl.module import Module, ModuleList


class DecoderLayer(Module):
    """Self-attention, cross-attention to the memory, feed-forward, each with a residual connection.

    forward(x, memory, mask=None, memory_mask=None): x (B, Tt, d_model), memory (B, Ts, d_model); masks boolean,
    broadcast to (B, H, Tt, Tt) and (B, H, Tt, Ts), True = may be attended to. Returns (B, Tt, d_model).
    backward(d_y) returns d_x, d_memory.
    dropout: of the attention weights, of the activated features and of each sublayer's output.
    Errors: sizes, shapes or masks that do not fit (ValueError), other dtypes and types (TypeError).
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.1, figure 1 (right).
    Departures: dropout inside the feed-forward layer and on the weights, as the authors' code has it.
    """

    def __init__(self, d_model, num_heads, d_ff, dropout=0.1, activation="relu", norm_first=False, *,
                 rng=None, dtype="float32"):
        super().__init__()
        rng = np.random.default_rng(rng)
        self_attention = SelfAttention(d_model, num_heads, dropout=dropout, rng=rng, dtype=dtype)
        cross_attention = CrossAttention(d_model, num_heads, dropout=dropout, rng=rng, dtype=dtype)
        feed_forward = FeedForward(d_model, d_ff, activation, dropout, rng=rng, dtype=dtype)
        self.self_attention = ResidualConnection(self_attention, LayerNorm(d_model, dtype=dtype), dropout, norm_first)
        self.cross_attention = ResidualConnection(cross_attention, LayerNorm(d_model, dtype=dtype), dropout, norm_first)
        self.feed_forward = ResidualConnection(feed_forward, LayerNorm(d_model, dtype=dtype), dropout, norm_first)

    def forward(self, x, memory, mask=None, memory_mask=None):
        attended = self.self_attention(x, mask)                              # (B, Tt, D)
        informed = self.cross_attention(attended, memory, memory_mask)       # (B, Tt, D)
        y = self.feed_forward(informed)                                      # (B, Tt, D)
        return y

    def backward(self, d_y):
        d_informed = self.feed_forward.backward(d_y)
        d_attended, d_memory = self.cross_attention.backward(d_informed)
        d_x = self.self_attention.backward(d_attended)
        return d_x, d_memory


class Decoder(Module):
    """Decoder layers in a row, with a final norm if norm_first.

    forward(x, memory, mask=None, memory_mask=None): x (B, Tt, d_model), memory (B, Ts, d_model); masks boolean,
    broadcast to (B, H, Tt, Tt) and (B, H, Tt, Ts), True = may be attended to. Returns (B, Tt, d_model).
    backward(d_y) returns d_x, d_memory.
    Errors: sizes, shapes or masks that do not fit (ValueError), other dtypes and types (TypeError).
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.1; the final norm: Xiong et al. (2020).
    Departures: those of the layers; the final norm, without which the sums of a norm_first model stay unnormalized.
    """

    def __init__(self, num_layers, d_model, num_heads, d_ff, dropout=0.1, activation="relu", norm_first=False, *,
                 rng=None, dtype="float32"):
        super().__init__()
        checks.positive_int("num_layers", num_layers)
        rng = np.random.default_rng(rng)
        self.layers = ModuleList(
            DecoderLayer(d_model, num_heads, d_ff, dropout, activation, norm_first, rng=rng, dtype=dtype)
            for _ in range(num_layers))
        self.norm = LayerNorm(d_model, dtype=dtype) if norm_first else None

    def forward(self, x, memory, mask=None, memory_mask=None):
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)              # (B, Tt, D)
        y = x if self.norm is None else self.norm(x)
        return y

    def backward(self, d_y):
        d_x = d_y if self.norm is None else self.norm.backward(d_y)
        d_memory_from_layers = []
        for layer in reversed(self.layers):
            d_x, d_memory_from_layer = layer.backward(d_x)
            d_memory_from_layers.append(d_memory_from_layer)
        d_memory = sum(d_memory_from_layers)                     # every layer looked at the same memory
        return d_x, d_memory
