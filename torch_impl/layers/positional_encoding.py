"""Positional encodings tell attention where a token stands: sinusoids, a trained table, or rotation (RoPE)."""

import torch

from numpy_impl import checks, initialization
from torch_impl.module import Module, Parameter, tensor

# Sinusoids, added to the embeddings


def sinusoidal_table(length, d_model, dtype):
    """Columns 2i and 2i + 1 of row t are sin and cos of t / 10000^(2i / d_model). Returns (length, d_model) of `dtype`.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.5.
    """
    position = torch.arange(length)[:, None]                     # (T, 1)
    column = torch.arange(d_model)                               # (D,)
    even = column % 2 == 0                                       # (D,)
    exponent = (column - column % 2).double() / d_model          # (D,), 2i / d_model
    angle = position / 10000.0**exponent                         # (T, D), in float64 whatever `dtype` is
    table = torch.where(even, torch.sin(angle), torch.cos(angle))   # (T, D)
    return table.to(getattr(torch, checks.parameter_dtype(dtype)))


class SinusoidalPositionalEncoding(Module):
    """Adds a fixed table of sinusoids to x, so that each position has a pattern of its own.

    Forward takes x: (B, T, d_model) of `dtype` and returns the same shape. Raises TypeError for another dtype,
    ValueError for another shape and for T above max_length. An odd d_model ends with a sine.
    The table is neither trained nor part of the state.
    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.5.
    """

    table: torch.Tensor    # (max_length, d_model)

    def __init__(self, d_model, max_length, *, dtype="float32"):
        super().__init__()
        checks.positive_int("d_model", d_model)
        checks.positive_int("max_length", max_length)
        self.d_model = d_model
        self.max_length = max_length
        self.register_buffer("table", sinusoidal_table(max_length, d_model, dtype), persistent=False)

    def forward(self, x):
        checks.activations("x", x, torch.Tensor, width=self.d_model, dtype=self.table.dtype, rank=3)
        checks.length("x", x.shape[1], self.max_length)
        y = x + self.table[:x.shape[1]]                          # (B, T, D)
        return y


# A trained table, added to the embeddings


def add_positions(x, weight):
    """y = x + the first T rows of `weight`, the same for each sequence of the batch.

    x: (B, T, D). weight: (L, D) with L >= T. Returns y: (B, T, D).
    """
    positions = weight[:x.shape[1]]                              # (T, D)
    y = x + positions                                            # (B, T, D)
    return y


class LearnedPositionalEncoding(Module):
    """Adds a trained table `weight` (max_length, d_model) to x, a row for each position.

    Forward takes x: (B, T, d_model) of the parameters' dtype and returns the same shape. Raises TypeError for another
    dtype, ValueError for another shape and for T above max_length.
    Initial values are normal with standard deviation 1 / sqrt(d_model), as those of Embedding.
    Source: Gehring et al. (2017), "Convolutional Sequence to Sequence Learning", section 3.1.
    """

    def __init__(self, d_model, max_length, *, rng=None, dtype="float32"):
        super().__init__()
        checks.positive_int("d_model", d_model)
        checks.positive_int("max_length", max_length)
        dtype = checks.parameter_dtype(dtype)
        self.d_model = d_model
        self.max_length = max_length
        self.weight = Parameter(tensor(initialization.normal(rng, d_model**-0.5, (max_length, d_model), dtype)))

    def forward(self, x):
        checks.activations("x", x, torch.Tensor, width=self.d_model, dtype=self.weight.dtype, rank=3)
        checks.length("x", x.shape[1], self.max_length)
        return add_positions(x, self.weight)


# Rotation of queries and keys (RoPE)


def rotation_tables(length, d_head, base, dtype):
    """cos and sin of the angle t / base^(2i / d_head) by which pair i at position t is turned.

    Returns two tensors (length, d_head / 2) of `dtype`.
    Source: Su et al. (2021), "RoFormer", section 3.2.2 (the angles are those of the sinusoids).
    """
    position = torch.arange(length)[:, None]                     # (T, 1)
    exponent = torch.arange(0, d_head, 2).double() / d_head      # (Dh / 2,)
    angle = position / base**exponent                            # (T, Dh / 2), in float64 whatever `dtype` is
    dtype = getattr(torch, checks.parameter_dtype(dtype))
    return torch.cos(angle).to(dtype), torch.sin(angle).to(dtype)


def _split_pairs(x, layout):
    """The first and the second feature of each pair: two arrays (..., Dh / 2) of x: (..., Dh).

    layout "half" pairs feature i with feature i + Dh / 2, "interleaved" pairs feature 2i with feature 2i + 1.
    """
    if layout == "half":
        half = x.shape[-1] // 2
        return x[..., :half], x[..., half:]
    return x[..., 0::2], x[..., 1::2]


def _join_pairs(first, second, layout):
    """The array (..., Dh) that `_split_pairs` splits into `first` and `second`."""
    if layout == "half":
        return torch.cat([first, second], dim=-1)
    return torch.stack([first, second], dim=-1).reshape(*first.shape[:-1], 2 * first.shape[-1])


def rotate_pairs(x, cos, sin, layout):
    """Turn each pair of features, seen as a point in the plane, by the angle of its position.

    x: (B, H, T, Dh). cos, sin: (T, Dh / 2). layout: "half" or "interleaved". Returns y: (B, H, T, Dh).
    Source: Su et al. (2021), "RoFormer", eq. 34.
    """
    first, second = _split_pairs(x, layout)                       # (B, H, T, Dh / 2) each
    turned_first = first * cos - second * sin
    turned_second = first * sin + second * cos
    y = _join_pairs(turned_first, turned_second, layout)          # (B, H, T, Dh)
    return y


class RotaryPositionalEncoding(Module):
    """Turns the features of queries or keys by angles that grow with the position (RoPE).

    The product of a query and a key then depends on their distance alone, not on where they stand. One instance serves
    one forward pass: queries and keys have one each.
    Forward takes x: (B, H, T, d_head) of `dtype` and returns the same shape. Raises TypeError for another dtype,
    ValueError for another shape, T above max_length, an odd d_head, an unknown layout and a base of 0 or less.
    The tables are neither trained nor part of the state.
    Source: Su et al. (2021), "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 34.
    Departures: layout "half" pairs feature i with i + d_head / 2, as GPT-NeoX and LLaMA in the transformers library;
    the paper pairs neighbours ("interleaved").
    """

    cos: torch.Tensor    # (max_length, d_head / 2)
    sin: torch.Tensor    # (max_length, d_head / 2)

    def __init__(self, d_head, max_length, base=10000.0, layout="half", *, dtype="float32"):
        super().__init__()
        checks.positive_int("d_head", d_head)
        checks.positive_int("max_length", max_length)
        checks.choice("layout", layout, ("half", "interleaved"))
        if d_head % 2:
            raise ValueError(f"d_head is {d_head}, must be even: features are turned in pairs")
        self.d_head = d_head
        self.max_length = max_length
        self.layout = layout
        cos, sin = rotation_tables(max_length, d_head, checks.positive("base", base), dtype)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x):
        checks.activations("x", x, torch.Tensor, width=self.d_head, dtype=self.cos.dtype, rank=4)
        checks.length("x", x.shape[2], self.max_length)
        return rotate_pairs(x, self.cos[:x.shape[2]], self.sin[:x.shape[2]], self.layout)
