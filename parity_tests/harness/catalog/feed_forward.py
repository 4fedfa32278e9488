"""Cases of layers/feed_forward.py."""

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.activations import OMITTED
from parity_tests.harness.catalog.linear import rows


def layer_case(name, layer, activation, *, training=True, shape=(2, 3, 5), **options):
    """A feed-forward layer from width 5 over 7 features to width 5, of an input of this shape."""
    def build(twin, dtype, rng):
        return getattr(twin.layers.feed_forward, layer)(5, 7, activation, rng=rng, dtype=dtype, **options)
    return Case(f"feed_forward: {layer}, {name}", build, rows(*shape), training=training,
                omitted=OMITTED if activation == "gelu_tanh" else {})


def by_default(layer):
    """A layer of which nothing but the sizes is said."""
    return Case(f"feed_forward: {layer}, by default",
                lambda twin, dtype, rng: getattr(twin.layers.feed_forward, layer)(5, 7, rng=rng, dtype=dtype),
                rows(2, 3, 5))


CASES = [
    by_default("FeedForward"),
    by_default("GatedFeedForward"),
    layer_case("ReLU", "FeedForward", "relu"),
    layer_case("GELU", "FeedForward", "gelu"),
    layer_case("GELU by tanh", "FeedForward", "gelu_tanh"),
    layer_case("without bias", "FeedForward", "relu", bias=False),
    layer_case("dropout", "FeedForward", "relu", dropout=0.4),
    layer_case("evaluation", "FeedForward", "relu", dropout=0.4, training=False),
    layer_case("SwiGLU", "GatedFeedForward", "silu"),
    layer_case("GEGLU", "GatedFeedForward", "gelu"),
    layer_case("GEGLU by tanh", "GatedFeedForward", "gelu_tanh"),
    layer_case("bias", "GatedFeedForward", "silu", bias=True),
    layer_case("dropout", "GatedFeedForward", "silu", dropout=0.4),
    *(layer_case(f"of {name}", layer, activation, shape=shape) for name, shape in (("(N, D)", (4, 5)), ("(D,)", (5,)))
      for layer, activation in (("FeedForward", "relu"), ("GatedFeedForward", "silu"))),
]
