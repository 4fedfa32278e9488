"""The feed-forward layer: a small network that works on each token alone, between the layers that mix tokens."""

import numpy as np

from numpy_impl import checks
from torch_impl.layers import activations
from torch_impl.layers.dropout import Dropout
from torch_impl.layers.linear import Linear
from torch_impl.module import Module


class FeedForward(Module):
    """y = W2 act(W1 x + b1) + b2, for each token of x: (..., d_model) on its own; d_ff features inside.

    activation: "relu", "gelu" (erf), "gelu_tanh", or another of `activations.activation` (ValueError).
    dropout: of the activated features.
    Errors: a size that is no int, dropout no number (TypeError); a size below 1, dropout outside of 0 <= p < 1, an
    unknown activation (ValueError).
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.3, eq. 2.
    Departures: dropout of the activated features, as the authors' code has it; no biases with bias=False.
    """

    def __init__(self, d_model, d_ff, activation="relu", dropout=0.0, bias=True, *, rng=None, dtype="float32"):
        super().__init__()
        checks.feed_forward(d_model, d_ff, dropout)
        rng = np.random.default_rng(rng)
        self.up = Linear(d_model, d_ff, bias, rng=rng, dtype=dtype)
        self.activation = activations.activation(activation)
        self.dropout = Dropout(dropout)
        self.down = Linear(d_ff, d_model, bias, rng=rng, dtype=dtype)

    def forward(self, x):
        hidden = self.up(x)                                      # (..., d_ff)
        activated = self.activation(hidden)                      # (..., d_ff)
        dropped = self.dropout(activated)                        # (..., d_ff)
        y = self.down(dropped)                                   # (..., d_model)
        return y


class GatedFeedForward(Module):
    """y = W_down (act(W_gate x) * W_up x), for each token of x: (..., d_model) on its own; d_ff features inside.

    activation: "silu" makes it SwiGLU, "gelu" GEGLU; any name of `activations.activation` (ValueError).
    dropout: of the gated features.
    Errors: a size that is no int, dropout no number (TypeError); a size below 1, dropout outside of 0 <= p < 1, an
    unknown activation (ValueError).
    Source: Shazeer (2020), "GLU Variants Improve Transformer", eq. 6.
    Departures: dropout of the gated features, which the paper leaves out; biases with bias=True.
    """

    def __init__(self, d_model, d_ff, activation="silu", dropout=0.0, bias=False, *, rng=None, dtype="float32"):
        super().__init__()
        checks.feed_forward(d_model, d_ff, dropout)
        rng = np.random.default_rng(rng)
        self.gate = Linear(d_model, d_ff, bias, rng=rng, dtype=dtype)
        self.up = Linear(d_model, d_ff, bias, rng=rng, dtype=dtype)
        self.activation = activations.activation(activation)
        self.dropout = Dropout(dropout)
        self.down = Linear(d_ff, d_model, bias, rng=rng, dtype=dtype)

    def forward(self, x):
        gate_input = self.gate(x)                                # (..., d_ff)
        opening = self.activation(gate_input)                    # (..., d_ff), how far each gate is open
        content = self.up(x)                                     # (..., d_ff), what passes through it
        gated = opening * content                                # (..., d_ff)
        dropped = self.dropout(gated)                            # (..., d_ff)
        y = self.down(dropped)                                   # (..., d_model)
        return y
