"""Cases of layers/attention.py."""

import numpy as np

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.softmax import SOFTMAX_OMITTED

ATTENTION = "scaled_dot_product_attention"
LEAN = f"{ATTENTION}_lean"
ATTENTION_OMITTED = {
    **SOFTMAX_OMITTED,
    LEAN: ("products", "masked_scores"),
    f"{LEAN}_backward": ("d_scores", "d_masked_scores"),
}

# Without softmax, a bias of the keys adds the same number to all scores of a query: their gradient is 0 by analysis.
ZERO_GRADIENTS = ("*key_projection.bias",)

# 2 sequences, 2 heads, 3 queries and 4 keys. True = may be attended to.
CAUSAL = np.tri(3, 4, dtype=bool)[None, None]
PADDING = np.array([[True, True, True, False], [True, False, False, False]])[:, None, None]
PADDED_AWAY = np.array([[True, True, True, True], [False, False, False, False]])[:, None, None]
SLIDING_WINDOW = CAUSAL & ~np.tri(3, 4, -2, dtype=bool)
MASKED_ROW = np.array([[[True, False, True, True], [False] * 4, [False, True, False, True]],
                       [[True, True, False, False], [True] * 4, [False] * 4]])[:, None]
HEADWISE = np.random.default_rng(5).random((2, 2, 3, 4)) < 0.6
MASKS = {"without mask": None, "causal": CAUSAL, "padding": PADDING, "a sequence of padding": PADDED_AWAY,
         "a mask of two axes": CAUSAL[0, 0], "sliding window": SLIDING_WINDOW, "fully masked rows": MASKED_ROW,
         "a mask for each head": HEADWISE}


def normal(rng, dtype, **shapes):
    """{name: array of that shape}, normally distributed."""
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def heads(mask=None, p=0.0, *, batch=2, num_heads=2, queries=3, keys=4, d_head=5, d_value=6):
    """Inputs of `scaled_dot_product_attention`."""
    def inputs(rng, dtype):
        values = normal(rng, dtype, query=(batch, num_heads, queries, d_head), key=(batch, num_heads, keys, d_head),
                        value=(batch, num_heads, keys, d_value))
        keep = rng.random((batch, num_heads, queries, keys)) >= p if p else None
        return {**values, "mask": mask, "keep": keep, "p": p}
    return inputs


def sequences(mask=None, *names, queries=3, keys=4, d_model=8, **others):
    """Inputs of a module: the named sequences (the first as long as the queries, the others as the keys) and a mask."""
    def inputs(rng, dtype):
        shapes = {name: (2, keys if position else queries, d_model) for position, name in enumerate(names)}
        return {**normal(rng, dtype, **shapes), "mask": mask, **others}
    return inputs


def function_case(mask_name, p=0.0):
    """`scaled_dot_product_attention` under one of MASKS."""
    return Case(f"attention: {ATTENTION}, {mask_name}" + (", dropout" if p else ""),
                lambda twin, dtype, rng: getattr(twin.layers.attention, ATTENTION), heads(MASKS[mask_name], p),
                outputs_without_gradient=(1,), omitted=ATTENTION_OMITTED)


def module_case(name, layer, inputs, *, num_heads=2, training=True, **options):
    """An attention module of d_model 8."""
    def build(twin, dtype, rng):
        return getattr(twin.layers.attention, layer)(8, num_heads, rng=rng, dtype=dtype, **options)
    return Case(f"attention: {layer}, {name}", build, inputs, training=training, outputs_without_gradient=(1,),
                zero_gradients=ZERO_GRADIENTS, omitted=ATTENTION_OMITTED)


def multi_head(name, mask, *, queries=3, keys=4, **options):
    return module_case(name, "MultiHeadAttention", sequences(mask, "query", "key", "value", queries=queries, keys=keys),
                       **options)


def heads_case(name, function, shape, **constants):
    """A rearrangement of heads; x or heads: of this shape."""
    argument = "x" if function == "split_heads" else "heads"
    return Case(f"attention: {name}", lambda twin, dtype, rng: getattr(twin.layers.attention, function),
                lambda rng, dtype: {**normal(rng, dtype, **{argument: shape}), **constants})


TRIANGLE = np.tri(4, dtype=bool)[None, None]

CASES = [
    *(function_case(mask_name) for mask_name in MASKS),
    function_case("without mask", p=0.4),
    function_case("fully masked rows", p=0.4),
    heads_case("split_heads", "split_heads", (2, 3, 8), num_heads=2),
    heads_case("merge_heads", "merge_heads", (2, 2, 3, 4)),
    heads_case("repeat_heads", "repeat_heads", (2, 2, 3, 4), group_size=3),
    heads_case("repeat_heads, groups of one", "repeat_heads", (2, 2, 3, 4), group_size=1),
    *(multi_head(mask_name, mask) for mask_name, mask in MASKS.items() if mask is not None),
    multi_head("dropout", MASKED_ROW, dropout=0.4),
    multi_head("evaluation", MASKED_ROW, dropout=0.4, training=False),
    multi_head("without bias", PADDING, bias=False),
    multi_head("one head", CAUSAL, num_heads=1),
    multi_head("two groups of heads", PADDING, num_heads=4, num_key_value_heads=2),
    multi_head("one group of heads", MASKED_ROW, num_heads=4, num_key_value_heads=1, dropout=0.4),
    module_case("returns weights", "MultiHeadAttention",
                sequences(PADDING, "query", "key", "value", return_weights=True), dropout=0.4),
    module_case("returns weights", "SelfAttention", sequences(TRIANGLE, "x", queries=4, return_weights=True)),
    module_case("returns weights", "CrossAttention", sequences(PADDING, "x", "memory", return_weights=True)),
    module_case("causal", "SelfAttention", sequences(TRIANGLE, "x", queries=4)),
    module_case("dropout", "SelfAttention", sequences(TRIANGLE, "x", queries=4), dropout=0.4),
    module_case("two groups of heads", "SelfAttention", sequences(TRIANGLE, "x", queries=4), num_heads=4,
                num_key_value_heads=2),
    module_case("fully masked rows", "CrossAttention", sequences(MASKED_ROW, "x", "memory")),
    module_case("dropout", "CrossAttention", sequences(PADDED_AWAY, "x", "memory"), dropout=0.4),
]
