"""Positions as others write them: the paper's formula, complex numbers as in LLaMA, halves as in transformers."""

import torch

from parity_tests.harness import torch_functions
from parity_tests.harness.against import Other, named


def with_sinusoids(values):
    return values["x"] + torch_functions.sinusoids(*values["x"].shape[1:])


def with_first_rows(values):
    return values["x"] + values["weight"][:values["x"].shape[1]]


def angles(base):
    """(7, 3): of each position and pair."""
    wavelengths = base ** (torch.arange(0, 6, 2, dtype=torch.float64) / 6)
    return torch.outer(torch.arange(7, dtype=torch.float64), 1 / wavelengths)


def as_complex_numbers(x, turn):
    """A pair of neighbours is a complex number, turned by another of length 1 (Meta's LLaMA)."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], 3, 2))
    return torch.view_as_real(pairs * turn).flatten(-2)


def turned_interleaved(values):
    """x: (B, H, T, 6)."""
    angle = angles(100.0)
    return as_complex_numbers(values["x"], torch.polar(torch.ones_like(angle), angle))


def turned_halves(x, cos, sin):
    """cos and sin are repeated, and the halves change places (the transformers library)."""
    rotated_half = torch.cat([-x[..., 3:], x[..., :3]], dim=-1)
    return x * torch.cat([cos, cos], dim=-1) + rotated_half * torch.cat([sin, sin], dim=-1)


def turned_half(values):
    angle = angles(10000.0)
    return turned_halves(values["x"], angle.cos(), angle.sin())


HALF, COMPLEX = "x cos + rotated_half(x) sin, as in the transformers library", "complex numbers, as in LLaMA"

OTHERS = [
    Other("sin and cos as the paper has them", named("positional_encoding: SinusoidalPositionalEncoding, d_model=6"),
          with_sinusoids),
    Other("x + weight[:T] in torch", named("positional_encoding: LearnedPositionalEncoding, d_model=6"),
          with_first_rows),
    Other("x + weight[:T] in torch", named("positional_encoding: add_positions"), with_first_rows),
    Other(HALF, named("positional_encoding: rotate_pairs, half"),
          lambda values: turned_halves(values["x"], values["cos"], values["sin"])),
    Other(COMPLEX, named("positional_encoding: rotate_pairs, interleaved"),
          lambda values: as_complex_numbers(values["x"], torch.complex(values["cos"], values["sin"]))),
    Other(HALF, named("positional_encoding: RotaryPositionalEncoding, half, base=10000"), turned_half),
    Other(COMPLEX, named("positional_encoding: RotaryPositionalEncoding, interleaved, base=100"), turned_interleaved),
]
