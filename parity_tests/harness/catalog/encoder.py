"""Cases of models/encoder.py."""

import numpy as np

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.activations import OMITTED as GELU_OMITTED
from parity_tests.harness.catalog.attention import ATTENTION_OMITTED, ZERO_GRADIENTS, normal
from parity_tests.harness.catalog.normalization import LAYER_NORM_OMITTED
from parity_tests.harness.catalog.residual import PLACEMENTS
from parity_tests.harness.judge import MODEL_BOUND

SIZES = (8, 2, 6)    # d_model, num_heads, d_ff
OMITTED = {**ATTENTION_OMITTED, **LAYER_NORM_OMITTED}
# 3 sequences of 4 tokens; the second is padded, the third is nothing but padding.
PADDING = np.array([[True] * 4, [True, True, False, False], [False] * 4])[:, None, None]


def encoded(mask):
    """Inputs: x (3, 4, 8) and the mask."""
    return lambda rng, dtype: {**normal(rng, dtype, x=(3, 4, 8)), "mask": mask}


def draw_vectors(module, rng):
    """Gammas near 1, betas and biases near 0.

    Large common offsets make all tokens alike; then the gradient of a query is a difference of almost equal numbers,
    and rounding errors grow from layer to layer.
    """
    for path, parameter in module.named_parameters():
        if path.endswith("gamma"):
            parameter.data[...] = rng.uniform(0.5, 1.5, parameter.shape)
        elif path.endswith(("beta", "bias")):
            parameter.data[...] = 0.2 * rng.standard_normal(parameter.shape)


def layer(name, mask=PADDING, *, norm_first=False, dropout=0.0, activation="relu"):
    """A case of `EncoderLayer`."""
    def build(twin, dtype, rng):
        return twin.models.encoder.EncoderLayer(*SIZES, dropout, activation, norm_first, rng=rng, dtype=dtype)
    return Case(f"encoder: EncoderLayer, {name}", build, encoded(mask), bound=MODEL_BOUND, prepare=draw_vectors,
                zero_gradients=ZERO_GRADIENTS,
                omitted={**OMITTED, **(GELU_OMITTED if activation == "gelu_tanh" else {})})


def stack(name, *, norm_first=False, dropout=0.0, num_layers=2):
    """A case of `Encoder`."""
    def build(twin, dtype, rng):
        return twin.models.encoder.Encoder(num_layers, *SIZES, dropout, "relu", norm_first, rng=rng, dtype=dtype)
    return Case(f"encoder: Encoder, {name}", build, encoded(PADDING), bound=MODEL_BOUND, prepare=draw_vectors,
                zero_gradients=ZERO_GRADIENTS, omitted=OMITTED)


CASES = [
    *(layer(placement, norm_first=first) for placement, first in PLACEMENTS.items()),
    *(layer(f"{placement}, dropout", norm_first=first, dropout=0.3) for placement, first in PLACEMENTS.items()),
    layer("without mask", mask=None),
    layer("GELU", activation="gelu"),
    layer("GELU by tanh", activation="gelu_tanh"),
    *(stack(placement, norm_first=first) for placement, first in PLACEMENTS.items()),
    *(stack(f"{placement}, dropout", norm_first=first, dropout=0.3) for placement, first in PLACEMENTS.items()),
]
