"""torch.nn's own Transformer layers on the parameters of ours: an oracle written by others.

They keep the projections of query, key and value in one matrix, call LayerNorm's parameters weight and bias, and their
masks are True where nobody may look.
"""

import torch
from torch.func import functional_call

ATTENTIONS = {"encoder": {"self_attention": "self_attn"},
              "decoder": {"self_attention": "self_attn", "cross_attention": "multihead_attn"}}
LAYERS = {"encoder": torch.nn.TransformerEncoderLayer, "decoder": torch.nn.TransformerDecoderLayer}


def below(path, values):
    """The values whose names begin with `path`, without it."""
    return {name.removeprefix(f"{path}."): value for name, value in values.items() if name.startswith(f"{path}.")}


def attention_parameters(values):
    """The parameters of a torch.nn.MultiheadAttention, from those of MultiHeadAttention with biases."""
    parts = ("query", "key", "value")
    return {"in_proj_weight": torch.cat([values[f"{part}_projection.weight"] for part in parts]),
            "in_proj_bias": torch.cat([values[f"{part}_projection.bias"] for part in parts]),
            "out_proj.weight": values["output_projection.weight"], "out_proj.bias": values["output_projection.bias"]}


def layer_parameters(kind, values):
    """The parameters of a layer of torch's encoder or decoder, from those of ours."""
    found = {}
    for number, ours in enumerate([*ATTENTIONS[kind], "feed_forward"], start=1):
        found[f"norm{number}.weight"] = values[f"{ours}.norm.gamma"]
        found[f"norm{number}.bias"] = values[f"{ours}.norm.beta"]
    for ours, theirs in ATTENTIONS[kind].items():
        parameters = attention_parameters(below(f"{ours}.sublayer", values))
        found |= {f"{theirs}.{name}": value for name, value in parameters.items()}
    for ours, theirs in (("up", "linear1"), ("down", "linear2")):
        found |= {f"{theirs}.{name}": value for name, value in below(f"feed_forward.sublayer.{ours}", values).items()}
    return found


def stack_parameters(kind, values):
    """The parameters of torch's encoder or decoder, from those of ours."""
    numbers = {name.split(".")[1] for name in values if name.startswith("layers.")}
    found = {f"layers.{number}.{name}": value for number in numbers
             for name, value in layer_parameters(kind, below(f"layers.{number}", values)).items()}
    return found | {f"norm.{theirs}": values[f"norm.{ours}"]
                    for ours, theirs in (("gamma", "weight"), ("beta", "bias")) if f"norm.{ours}" in values}


def build_layer(kind, sizes, norm_first, activation="relu"):
    """torch's layer without dropout. sizes: (d_model, num_heads, d_ff)."""
    return LAYERS[kind](*sizes, dropout=0.0, activation=activation, norm_first=norm_first, batch_first=True,
                        dtype=torch.float64)


def build_stack(kind, sizes, norm_first, num_layers):
    """torch's encoder or decoder without dropout, with a final norm if norm_first."""
    norm = torch.nn.LayerNorm(sizes[0], dtype=torch.float64) if norm_first else None
    layer = build_layer(kind, sizes, norm_first)
    if kind == "encoder":
        return torch.nn.TransformerEncoder(layer, num_layers, norm, enable_nested_tensor=False)
    return torch.nn.TransformerDecoder(layer, num_layers, norm)


def encode(module, parameters, x, mask):
    """Run torch's encoder or a layer of it. mask: ours, (B, 1, 1, T) or None."""
    hidden = None if mask is None else ~mask[:, 0, 0]
    return functional_call(module, parameters, (x,), {"src_key_padding_mask": hidden})


def decode(module, parameters, x, memory, mask, memory_mask):
    """Run torch's decoder or a layer of it. mask: ours, (B or 1, 1, T, T); memory_mask: (B, 1, 1, Ts); or None."""
    if mask is not None:
        num_heads = next(part.num_heads for part in module.modules() if isinstance(part, torch.nn.MultiheadAttention))
        mask = ~mask.expand(x.shape[0], num_heads, -1, -1).flatten(0, 1)
    hidden = None if memory_mask is None else ~memory_mask[:, 0, 0]
    return functional_call(module, parameters, (x, memory), {"tgt_mask": mask, "memory_key_padding_mask": hidden})
