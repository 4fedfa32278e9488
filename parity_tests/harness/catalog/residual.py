"""Cases of layers/residual.py."""

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.attention import (
    ATTENTION_OMITTED, MASKED_ROW, TRIANGLE, ZERO_GRADIENTS, normal, sequences)
from parity_tests.harness.catalog.normalization import LAYER_NORM_OMITTED

PLACEMENTS = {"post-norm": False, "pre-norm": True}


def self_attention(twin, **options):
    return twin.layers.attention.SelfAttention(8, 2, **options)


def cross_attention(twin, **options):
    return twin.layers.attention.CrossAttention(8, 2, **options)


def feed_forward(twin, **options):
    return twin.layers.feed_forward.FeedForward(8, 6, **options)


def gated_feed_forward(twin, **options):
    return twin.layers.feed_forward.GatedFeedForward(8, 6, **options)


def only_x(rng, dtype):
    return normal(rng, dtype, x=(2, 4, 8))


def residual(name, sublayer, inputs, placement, dropout=0.0):
    """A residual connection of width 8 around `sublayer(twin, rng=, dtype=)`."""
    def build(twin, dtype, rng):
        norm = twin.layers.normalization.LayerNorm(8, dtype=dtype)
        return twin.layers.residual.ResidualConnection(sublayer(twin, rng=rng, dtype=dtype), norm, dropout,
                                                       norm_first=PLACEMENTS[placement])
    has_attention = sublayer in (self_attention, cross_attention)
    return Case(f"residual: {placement}, {name}", build, inputs, zero_gradients=ZERO_GRADIENTS if has_attention else (),
                omitted={**(ATTENTION_OMITTED if has_attention else {}), **LAYER_NORM_OMITTED})


CASES = [case for placement in PLACEMENTS for case in (
    residual("self-attention", self_attention, sequences(TRIANGLE, "x", queries=4), placement),
    residual("self-attention, dropout", self_attention, sequences(TRIANGLE, "x", queries=4), placement, dropout=0.4),
    residual("cross-attention", cross_attention, sequences(MASKED_ROW, "x", "memory"), placement),
    residual("cross-attention, dropout", cross_attention, sequences(MASKED_ROW, "x", "memory"), placement, dropout=0.4),
    residual("feed-forward", feed_forward, only_x, placement),
    residual("feed-forward, dropout", feed_forward, only_x, placement, dropout=0.4),
    residual("gated feed-forward", gated_feed_forward, only_x, placement),
)]
