"""The whole model from torch's own encoder and decoder, and, in training, from its functions on the same masks."""

import dataclasses

import torch
from torch.nn import functional as F

from parity_tests.harness import torch_functions, torch_modules
from parity_tests.harness.against import Other, named
from parity_tests.harness.against.encoder import IN_TRAINING
from parity_tests.harness.catalog.transformer import CONFIG, TWO_LAYERS


def from_torch_layers(**changes):
    """Logits from torch.nn's encoder and decoder; `changes` replace fields of CONFIG."""
    config = dataclasses.replace(CONFIG, **changes)
    sizes = (config.d_model, config.num_heads, config.d_ff)
    encoder = torch_modules.build_stack("encoder", sizes, config.norm_first, config.num_encoder_layers)
    decoder = torch_modules.build_stack("decoder", sizes, config.norm_first, config.num_decoder_layers)

    def logits(v):
        def embed(name, ids):
            weight = v.get(f"{name}_embedding.weight", v["source_embedding.weight"])
            embedded = F.embedding(ids, weight, padding_idx=0) * config.d_model ** 0.5
            return embedded + torch_functions.sinusoids(ids.shape[1], config.d_model)

        source_ids, target_ids = v["source_ids"], v["target_ids"]
        source_mask = (source_ids != 0)[:, None, None]
        target_mask = torch.ones(target_ids.shape[1], target_ids.shape[1], dtype=torch.bool).tril()
        target_mask = target_mask & (target_ids != 0)[:, None, None]
        parameters = {name: torch_modules.stack_parameters(name, torch_modules.below(name, v))
                      for name in ("encoder", "decoder")}
        memory = torch_modules.encode(encoder, parameters["encoder"], embed("source", source_ids), source_mask)
        decoded = torch_modules.decode(decoder, parameters["decoder"], embed("target", target_ids), memory, target_mask,
                                       source_mask)
        return decoded @ v.get("output_projection.weight", v["source_embedding.weight"]).T

    return logits


def from_torch_functions(**changes):
    config = dataclasses.replace(CONFIG, dropout=0.3, **changes)
    return lambda v: torch_functions.transformer(v, config)


def with_loss(logits):
    def loss(v):
        return F.cross_entropy(logits({**v, **torch_modules.below("transformer", v)}).flatten(0, 1),
                               v["targets"].flatten(), ignore_index=0, label_smoothing=0.1)
    return loss


LAYERS = "torch.nn.TransformerEncoder and Decoder"

OTHERS = [
    *(Other(LAYERS, named(f"transformer: {name}"), from_torch_layers(**changes)) for name, changes in (
        ("tied, post-norm", {}), ("tied, pre-norm", {"norm_first": True}),
        ("untied, post-norm", {"tie_weights": False, "target_vocabulary_size": 10}),
        ("untied, pre-norm", {"tie_weights": False, "norm_first": True}), ("evaluation", {}))),
    Other(f"{LAYERS}, and torch.nn.functional.cross_entropy", named("transformer: with loss"),
          with_loss(from_torch_layers(**TWO_LAYERS))),
    *(Other(IN_TRAINING, named(f"transformer: {name}"), from_torch_functions(**changes)) for name, changes in (
        ("dropout", {}), ("dropout, untied, pre-norm, GELU", {"norm_first": True, "activation": "gelu"}))),
]
