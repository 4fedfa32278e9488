"""torch's own attention, and attention from torch's parts."""

import dataclasses

import torch
from torch.nn import functional as F

from parity_tests.harness import torch_functions
from parity_tests.harness.against import Other, named
from parity_tests.harness.catalog.attention import ATTENTION, CASES, MASKS

MODULES = [case for case in CASES if "Attention, " in case.name]
NUM_HEADS = {"one head": 1, "two groups of heads": 4, "one group of heads": 4}    # else 2
WITH_WEIGHTS = named("attention: MultiHeadAttention, returns weights")


def torch_mask(mask):
    return None if mask is None else torch.as_tensor(mask)


def scaled_dot_product_attention(v):
    """Those of fully masked rows (0) included."""
    return F.scaled_dot_product_attention(v["query"], v["key"], v["value"], attn_mask=torch_mask(v["mask"]))


def dropout_on_the_weights(v):
    """Kept weights are scaled up, and nothing is normalized again: the paper's code, and torch's, do the same."""
    weights = torch.softmax(v["query"] @ v["key"].mT / 5**0.5, dim=-1)
    return (weights * v["keep"] / (1 - v["p"])) @ v["value"]


def sequences_of(v):
    """Query, key and value of any of the modules."""
    query = v.get("query", v.get("x"))
    key = v.get("key", v.get("memory", query))
    return query, key, v.get("value", key)


def from_torch_parts(num_heads):
    """Multi-head attention from torch's own parts; `enable_gqa` shares the heads of keys and values."""
    def project(v, name, x):
        d_head = v["query_projection.weight"].shape[0] // num_heads
        projected = F.linear(x, v[f"{name}_projection.weight"], v.get(f"{name}_projection.bias"))
        return projected.unflatten(-1, (-1, d_head)).transpose(1, 2)

    def other(v):
        query, key, value = sequences_of(v)
        output = F.scaled_dot_product_attention(
            project(v, "query", query), project(v, "key", key), project(v, "value", value),
            attn_mask=torch_mask(v["mask"]), enable_gqa=True)
        concatenated = output.transpose(1, 2).flatten(2)
        return F.linear(concatenated, v["output_projection.weight"], v.get("output_projection.bias"))

    return other


def in_evaluation(case):
    """A module against torch's parts, which have no dropout."""
    return Other("torch.nn.functional.scaled_dot_product_attention and linear, without dropout",
                 dataclasses.replace(case, training=False),
                 from_torch_parts(NUM_HEADS.get(case.name.rpartition(", ")[2], 2)))


def in_training(num_heads, p):
    """The weights, and they alone, times keep / (1 - p)."""
    def other(v):
        query, key, value = sequences_of(v)
        return torch_functions.attention(v, "", query, key, value, v["mask"], num_heads, p)
    return other


def multi_head_attention(num_heads, bias):
    """torch keeps the weights of query, key and value in one matrix; its masks are True where nobody may look."""
    def other(v):
        parts = ("query", "key", "value")
        biases = [v[f"{part}_projection.bias"] for part in parts] if bias else None
        hidden = ~torch.as_tensor(v["mask"]).expand(2, num_heads, 3, 4).flatten(0, 1)
        query, key, value = (v[part].transpose(0, 1) for part in parts)    # batch second
        output, _ = F.multi_head_attention_forward(
            query, key, value, 8, num_heads, torch.cat([v[f"{part}_projection.weight"] for part in parts]),
            torch.cat(biases) if bias else None, None, None, False, 0.0, v["output_projection.weight"],
            v.get("output_projection.bias"), attn_mask=hidden, need_weights=False)
        return output.transpose(0, 1)
    return other


REARRANGEMENTS = {
    "split_heads": ("torch.unflatten", lambda v: v["x"].unflatten(-1, (2, 4)).transpose(1, 2)),
    "merge_heads": ("torch.flatten", lambda v: v["heads"].transpose(1, 2).flatten(2)),
    "repeat_heads": ("torch.repeat_interleave", lambda v: v["heads"].repeat_interleave(v["group_size"], dim=1)),
    "repeat_heads, groups of one": ("torch.repeat_interleave", lambda v: v["heads"].repeat_interleave(1, dim=1)),
}

OTHERS = [
    *(Other("torch.nn.functional.scaled_dot_product_attention", named(f"attention: {ATTENTION}, {mask_name}"),
            scaled_dot_product_attention) for mask_name in MASKS),
    Other("torch.softmax, times keep / (1 - p)", named(f"attention: {ATTENTION}, without mask, dropout"),
          dropout_on_the_weights),
    *(Other(function, named(f"attention: {name}"), other) for name, (function, other) in REARRANGEMENTS.items()),
    *(in_evaluation(case) for case in MODULES if case is not WITH_WEIGHTS),
    *(Other("torch.nn.functional, on the same dropout masks", named(f"attention: {name}"), in_training(num_heads, 0.4))
      for name, num_heads in (("MultiHeadAttention, dropout", 2), ("MultiHeadAttention, one group of heads", 4),
                              ("SelfAttention, dropout", 2), ("CrossAttention, dropout", 2))),
    # Its second output, the weights before dropout, carries no gradient.
    Other("torch.nn.functional, on the same dropout masks", WITH_WEIGHTS, in_training(2, 0.4)),
    *(Other("torch.nn.functional.multi_head_attention_forward", named(f"attention: MultiHeadAttention, {name}"),
            multi_head_attention(num_heads, bias))
      for name, num_heads, bias in (("causal", 2, True), ("padding", 2, True), ("sliding window", 2, True),
                                    ("one head", 1, True), ("without bias", 2, False))),
]
