"""The Transformer in training, dropout included, from torch.nn.functional alone: an oracle with no layer of ours.

torch.nn's own layers would draw masks of their own; here each mask is that of `dropout_keep` at the path where the
paper has dropout. v: {path: tensor}, parameters and inputs. path: where the part stands in the model, "" for the root.
config: a TransformerConfig.
"""

import numpy as np
import torch
from torch.nn import functional as F

from numpy_impl.random import dropout_keep
from parity_tests.harness.runs import DROPOUT

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


def below(path, name):
    return f"{path}.{name}".lstrip(".")


def dropout(path, x, p):
    """Kept values are scaled up, so that the expected value stays."""
    keep = torch.from_numpy(dropout_keep(tuple(x.shape), p, **DROPOUT, path=path))
    return x * keep / (1 - p)


def linear(v, path, x):
    return F.linear(x, v[f"{path}.weight"], v.get(f"{path}.bias"))


def attention(v, path, query, key, value, mask, num_heads, p):
    """Multi-head attention with dropout of its weights; fewer heads of keys and values serve groups of neighbours."""
    def heads(part, x):
        return linear(v, below(path, f"{part}_projection"), x).unflatten(-1, (-1, d_head)).transpose(1, 2)

    d_head = query.shape[-1] // num_heads
    query_heads, key_heads, value_heads = heads("query", query), heads("key", key), heads("value", value)
    key_heads, value_heads = (x.repeat_interleave(num_heads // x.shape[1], dim=1) for x in (key_heads, value_heads))
    scores = query_heads @ key_heads.mT / d_head ** 0.5
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        weights = scores.masked_fill(~mask, -1e30).softmax(dim=-1) * mask    # a fully masked row becomes 0
    output = dropout(below(path, "dropout"), weights, p) @ value_heads
    return linear(v, below(path, "output_projection"), output.transpose(1, 2).flatten(2))


def feed_forward(v, path, x, config):
    activated = ACTIVATIONS[config.activation](linear(v, below(path, "up"), x))
    return linear(v, below(path, "down"), dropout(below(path, "dropout"), activated, config.dropout))


def layer_norm(v, path, x):
    return F.layer_norm(x, x.shape[-1:], v[below(path, "gamma")], v[below(path, "beta")])


def residual(v, path, x, sublayer, config):
    """x + dropout(sublayer(norm(x))) or norm(x + dropout(sublayer(x)))."""
    norm = below(path, "norm")
    transformed = sublayer(layer_norm(v, norm, x) if config.norm_first else x)
    added = x + dropout(below(path, "dropout"), transformed, config.dropout)
    return added if config.norm_first else layer_norm(v, norm, added)


def layer(v, path, x, mask, config, memory=None, memory_mask=None):
    """A layer of the encoder; with a memory, one of the decoder."""
    def attend(name, x, memory, mask):
        return attention(v, below(path, f"{name}.sublayer"), x, memory, memory, mask, config.num_heads, config.dropout)

    x = residual(v, below(path, "self_attention"), x, lambda x: attend("self_attention", x, x, mask), config)
    if memory is not None:
        x = residual(v, below(path, "cross_attention"), x,
                     lambda x: attend("cross_attention", x, memory, memory_mask), config)
    return residual(v, below(path, "feed_forward"), x,
                    lambda x: feed_forward(v, below(path, "feed_forward.sublayer"), x, config), config)


def transformer(v, config):
    """The logits of the whole model for v["source_ids"], v["target_ids"]."""
    def embed(name, ids):
        weight = v.get(f"{name}_embedding.weight", v["source_embedding.weight"])
        embedded = F.embedding(ids, weight, padding_idx=0) * config.d_model ** 0.5
        return dropout(f"{name}_dropout", embedded + sinusoids(ids.shape[1], config.d_model), config.dropout)

    def final_norm(name, x):
        return layer_norm(v, f"{name}.norm", x) if config.norm_first else x

    source_ids, target_ids = v["source_ids"], v["target_ids"]
    source_mask = (source_ids != 0)[:, None, None]
    target_mask = torch.ones(target_ids.shape[1], target_ids.shape[1], dtype=torch.bool).tril()
    target_mask = target_mask & (target_ids != 0)[:, None, None]
    memory = embed("source", source_ids)
    for number in range(config.num_encoder_layers):
        memory = layer(v, f"encoder.layers.{number}", memory, source_mask, config)
    memory = final_norm("encoder", memory)
    decoded = embed("target", target_ids)
    for number in range(config.num_decoder_layers):
        decoded = layer(v, f"decoder.layers.{number}", decoded, target_mask, config, memory, source_mask)
    return final_norm("decoder", decoded) @ v.get("output_projection.weight", v["source_embedding.weight"]).T


def sinusoids(length, d_model):
    """Row t: sin and cos of t / 10000^(2i / d_model), written as the paper writes it."""
    table = torch.zeros(length, d_model, dtype=torch.float64)
    for t in range(length):
        for i in range(d_model // 2):
            table[t, 2 * i] = np.sin(t / 10000 ** (2 * i / d_model))
            table[t, 2 * i + 1] = np.cos(t / 10000 ** (2 * i / d_model))
    return table
