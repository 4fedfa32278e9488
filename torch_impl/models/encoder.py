"""The encoder: self-attention and feed-forward turn each token's vector into one that knows its context."""

import numpy as np

from numpy_impl import checks
from torch_impl.layers.attention import SelfAttention
from torch_impl.layers.feed_forward import FeedForward
from torch_impl.layers.normalization import LayerNorm
from torch_impl.layers.residual import ResidualConnection
from torch_impl.module import Module, ModuleList


class EncoderLayer(Module):
    """Self-attention, then feed-forward, each with a residual connection: (B, T, d_model) to (B, T, d_model).

    forward(x, mask=None): mask boolean, broadcasts to (B, H, T, T), True = may be attended to.
    dropout: of the attention weights, of the activated features and of each sublayer's output.
    Errors: sizes, shapes or masks that do not fit (ValueError), other dtypes and types (TypeError).
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.1, figure 1 (left).
    Departures: dropout inside the feed-forward layer and on the weights, as the authors' code has it.
    """

    def __init__(self, d_model, num_heads, d_ff, dropout=0.1, activation="relu", norm_first=False, *,
                 rng=None, dtype="float32"):
        super().__init__()
        rng = np.random.default_rng(rng)
        attention = SelfAttention(d_model, num_heads, dropout=dropout, rng=rng, dtype=dtype)
        feed_forward = FeedForward(d_model, d_ff, activation, dropout, rng=rng, dtype=dtype)
        self.self_attention = ResidualConnection(attention, LayerNorm(d_model, dtype=dtype), dropout, norm_first)
        self.feed_forward = ResidualConnection(feed_forward, LayerNorm(d_model, dtype=dtype), dropout, norm_first)

    def forward(self, x, mask=None):
        attended = self.self_attention(x, mask)                  # (B, T, D)
        y = self.feed_forward(attended)                          # (B, T, D)
        return y


class Encoder(Module):
    """Encoder layers in a row, with a final norm if norm_first: (B, T, d_model) to (B, T, d_model).

    forward(x, mask=None): mask boolean, broadcasts to (B, H, T, T), True = may be attended to.
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
            EncoderLayer(d_model, num_heads, d_ff, dropout, activation, norm_first, rng=rng, dtype=dtype)
            for _ in range(num_layers))
        self.norm = LayerNorm(d_model, dtype=dtype) if norm_first else None

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)                                   # (B, T, D)
        y = x if self.norm is None else self.norm(x)
        return y
