"""Cases of layers/dropout.py."""

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.linear import rows


def masked(*shape, p):
    """Inputs: x of this shape, a mask and p."""
    return lambda rng, dtype: {"x": rng.standard_normal(shape).astype(dtype), "keep": rng.random(shape) >= p, "p": p}


def without_mask(*shape, p):
    """Inputs: x of this shape, no mask, and p."""
    return lambda rng, dtype: {"x": rng.standard_normal(shape).astype(dtype), "keep": None, "p": p}


CASES = [
    Case("dropout: dropout", lambda twin, dtype, rng: twin.layers.dropout.dropout, masked(2, 3, 5, p=0.3)),
    Case("dropout: dropout without a mask", lambda twin, dtype, rng: twin.layers.dropout.dropout,
         without_mask(2, 3, p=0.3)),
    Case("dropout: Dropout", lambda twin, dtype, rng: twin.layers.dropout.Dropout(0.3), rows(2, 3, 5)),
    Case("dropout: Dropout with p = 0.9", lambda twin, dtype, rng: twin.layers.dropout.Dropout(0.9), rows(2, 30)),
    Case("dropout: Dropout with p = 0", lambda twin, dtype, rng: twin.layers.dropout.Dropout(0.0), rows(2, 3, 5)),
    Case("dropout: Dropout in evaluation", lambda twin, dtype, rng: twin.layers.dropout.Dropout(0.3), rows(2, 3, 5),
         training=False),
]
