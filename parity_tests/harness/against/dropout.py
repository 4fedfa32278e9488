"""Dropout written out with torch, on the masks that both twins draw: torch's own would draw others."""

from parity_tests.harness import torch_functions
from parity_tests.harness.against import Other, named


def with_mask(values):
    return values["x"] * values["keep"] / (1 - values["p"])


def unchanged(values):
    return values["x"] * 1


def with_drawn_mask(p):
    return lambda values: torch_functions.dropout("", values["x"], p)


OTHERS = [
    Other("x * keep / (1 - p) in torch", named("dropout: dropout"), with_mask),
    Other("x * keep / (1 - p) in torch", named("dropout: Dropout"), with_drawn_mask(0.3)),
    Other("x * keep / (1 - p) in torch", named("dropout: Dropout with p = 0.9"), with_drawn_mask(0.9)),
    *(Other("x", named(f"dropout: {name}"), unchanged)
      for name in ("dropout without a mask", "Dropout with p = 0", "Dropout in evaluation")),
]
