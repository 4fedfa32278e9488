"""Whole models of the transformers library in the same weights: logits, and gradients of all parameters.

The library is not among the project's requirements; without it these are not run.
"""

import dataclasses
import functools
import importlib
import warnings

import numpy as np
from torch.func import functional_call

from parity_tests.harness.against import Other
from parity_tests.harness.catalog.encoder import draw_vectors
from parity_tests.harness.catalog.transformer import BEGIN, CONFIG, END, TWO_LAYERS, model

# In these models a query that may attend to nothing attends to all, so no source is padding alone.
SOURCE_IDS = np.array([[3, 4, 3, 5], [7, 0, 0, 0], [6, 6, 0, 0]])
TARGET_IDS = np.array([[1, 5, 5, 4, 7], [1, 3, 0, 0, 0], [1, 8, 3, 8, 0]])
ATTENTIONS = {"self_attention": "self_attn", "cross_attention": "encoder_attn"}
PROJECTIONS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj"}
VECTORS = {"gamma": "weight", "beta": "bias"}


def their_name(ours):
    """The name in a MarianMTModel or PegasusForConditionalGeneration of one of our parameters."""
    if ours == "source_embedding.weight":
        return "model.shared.weight"
    stack, *place, last = ours.split(".")
    if place == ["norm"]:
        return f"model.{stack}.layer_norm.{VECTORS[last]}"
    _, number, sublayer, *part = place
    prefix = f"model.{stack}.layers.{number}"
    if sublayer == "feed_forward":
        name = "final_layer_norm" if part == ["norm"] else {"up": "fc1", "down": "fc2"}[part[-1]]
    elif part == ["norm"]:
        name = f"{ATTENTIONS[sublayer]}_layer_norm"
    else:
        name = f"{ATTENTIONS[sublayer]}.{PROJECTIONS[part[-1].removesuffix('_projection')]}"
    return f"{prefix}.{name}.{VECTORS.get(last, last)}"


@functools.cache
def build_theirs(builder):
    """The library's model with the sizes of CONFIG, in float64, with random weights and without dropout."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = importlib.import_module("transformers")
    configuration = {"MarianMTModel": "MarianConfig", "PegasusForConditionalGeneration": "PegasusConfig"}[builder]
    sizes = getattr(transformers, configuration)(
        vocab_size=CONFIG.source_vocabulary_size, d_model=CONFIG.d_model, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=CONFIG.num_heads, decoder_attention_heads=CONFIG.num_heads,
        encoder_ffn_dim=CONFIG.d_ff, decoder_ffn_dim=CONFIG.d_ff, max_position_embeddings=CONFIG.max_length,
        dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, activation_function="relu", scale_embedding=True,
        pad_token_id=0, bos_token_id=BEGIN, eos_token_id=END, decoder_start_token_id=BEGIN, forced_eos_token_id=END)
    return getattr(transformers, builder)(sizes).double()


def theirs(builder, name, norm_first):
    """Their model against the case of this name, with two layers and their table of positions."""
    def prepare(module, rng):
        """They put all sines before all cosines, in float32: the same numbers, in other columns."""
        draw_vectors(module, rng)
        their_table = build_theirs(builder).model.encoder.embed_positions.weight.detach().numpy()
        for position in (module.source_position, module.target_position):
            np.testing.assert_allclose(their_table, np.hstack([position.table[:, 0::2], position.table[:, 1::2]]),
                                       atol=1e-6)
            position.table = their_table

    def other(v):
        module = build_theirs(builder)
        parameters = {their_name(ours): value for ours, value in v.items() if not ours.endswith("_ids")}
        assert {ours for ours, _ in module.named_parameters() if "embed_positions" not in ours} == set(parameters)
        return functional_call(module, parameters, (), {
            "input_ids": v["source_ids"], "attention_mask": v["source_ids"] != 0, "decoder_input_ids": v["target_ids"],
            "decoder_attention_mask": v["target_ids"] != 0}).logits

    case = dataclasses.replace(model(name, norm_first=norm_first, **TWO_LAYERS), prepare=prepare,
                               inputs=lambda rng, dtype: {"source_ids": SOURCE_IDS, "target_ids": TARGET_IDS})
    return Other(f"transformers.{builder}, two layers", case, other, library="transformers")


OTHERS = [theirs("MarianMTModel", "tied, post-norm", norm_first=False),
          theirs("PegasusForConditionalGeneration", "tied, pre-norm", norm_first=True)]
