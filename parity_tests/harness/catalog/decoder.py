"""Cases of models/decoder.py."""

import numpy as np

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.attention import ZERO_GRADIENTS, normal
from parity_tests.harness.catalog.encoder import OMITTED, PADDING, SIZES, draw_vectors
from parity_tests.harness.catalog.residual import PLACEMENTS
from parity_tests.harness.judge import MODEL_BOUND

CAUSAL = np.tri(5, dtype=bool)[None, None]


def decoded(mask, memory_mask):
    """Inputs: x (3, 5, 8), memory (3, 4, 8) and their masks."""
    return lambda rng, dtype: {**normal(rng, dtype, x=(3, 5, 8), memory=(3, 4, 8)), "mask": mask,
                               "memory_mask": memory_mask}


def layer(name, mask=CAUSAL, memory_mask=PADDING, *, norm_first=False, dropout=0.0, activation="relu"):
    """A case of `DecoderLayer`."""
    def build(twin, dtype, rng):
        return twin.models.decoder.DecoderLayer(*SIZES, dropout, activation, norm_first, rng=rng, dtype=dtype)
    return Case(f"decoder: DecoderLayer, {name}", build, decoded(mask, memory_mask), bound=MODEL_BOUND,
                prepare=draw_vectors, zero_gradients=ZERO_GRADIENTS, omitted=OMITTED)


def stack(name, *, norm_first=False, dropout=0.0, num_layers=2, seed=0):
    """A case of `Decoder`."""
    def build(twin, dtype, rng):
        return twin.models.decoder.Decoder(num_layers, *SIZES, dropout, "relu", norm_first, rng=rng, dtype=dtype)
    return Case(f"decoder: Decoder, {name}", build, decoded(CAUSAL, PADDING), bound=MODEL_BOUND,
                prepare=draw_vectors, zero_gradients=ZERO_GRADIENTS, omitted=OMITTED, seed=seed)


CASES = [
    *(layer(placement, norm_first=first) for placement, first in PLACEMENTS.items()),
    *(layer(f"{placement}, dropout", norm_first=first, dropout=0.3) for placement, first in PLACEMENTS.items()),
    layer("without masks", mask=None, memory_mask=None),
    layer("GELU", activation="gelu"),
    *(stack(placement, norm_first=first) for placement, first in PLACEMENTS.items()),
    *(stack(f"{placement}, dropout", norm_first=first, dropout=0.3) for placement, first in PLACEMENTS.items()),
    # With seed 0, attention in layer 0 is ill-conditioned: in float32 torch's gradient of a bias is off by 2000 eps.
    stack("three layers", num_layers=3, norm_first=True, seed=1),
]
