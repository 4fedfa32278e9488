"""The cases of the stepper: each primitive, attention, the layers of the Transformer, and a whole one with its loss.

They are small, and what happens in a run can be seen in them: dropout is on, masks hide something, one text is padded.
"""

import dataclasses
import difflib
import functools

import numpy as np

from numpy_impl.models.config import TransformerConfig
from numpy_impl.models.transformer import Transformer
from numpy_impl.text.batches import make_batch
from numpy_impl.text.task import Example
from numpy_impl.text.tasks import make_task
from numpy_impl.training.optimizers import Adam
from numpy_impl.training.step import accumulate_gradients
from parity_tests.harness.cases import Case
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.attention import ZERO_GRADIENTS, heads, module_case, normal, sequences
from parity_tests.harness.catalog.decoder import layer as decoder_layer
from parity_tests.harness.catalog.encoder import OMITTED, layer as encoder_layer
from parity_tests.harness.catalog.linear import rows
from parity_tests.harness.catalog.losses import SMOOTHED_OMITTED
from parity_tests.harness.catalog.normalization import arrays
from parity_tests.harness.catalog.transformer import with_loss
from parity_tests.harness.errors import UserError
from parity_tests.harness.judge import MODEL_BOUND

# {name: the case of the catalog that has the same function}
PRIMITIVES = {
    "linear": "linear: linear",
    "embedding": "embedding: embedding, padding_idx=2, scale=1.5",
    "add_positions": "positional_encoding: add_positions",
    "rotate_pairs": "positional_encoding: rotate_pairs, half",
    "relu": "activations: relu",
    "gelu_erf": "activations: gelu_erf",
    "gelu_tanh": "activations: gelu_tanh",
    "sigmoid": "activations: sigmoid",
    "silu": "activations: silu",
    "tanh": "activations: tanh",
    "dropout": "dropout: dropout",
    "softmax": "softmax: softmax of masked scores",
    "log_softmax": "softmax: log_softmax",
    "layer_norm": "normalization: layer_norm",
    "rms_norm": "normalization: rms_norm",
    "batch_norm": "normalization: batch_norm",
    "batch_norm_training": "normalization: batch_norm_training",
    "split_heads": "attention: split_heads",
    "merge_heads": "attention: merge_heads",
    "repeat_heads": "attention: repeat_heads",
    "scaled_dot_product_attention": "attention: scaled_dot_product_attention, without mask, dropout",
    "cross_entropy": "losses: cross_entropy with smoothing",
}
# Each token looks back only. Of 2 sequences of 4 tokens, the second ends with two of padding.
CAUSAL = np.tri(4, dtype=bool)[None, None]
PADDING = np.array([[True, True, True, True], [True, True, False, False]])[:, None, None]
INPUTS = {
    **{name: rows(2, 3, 4) for name in ("relu", "gelu_erf", "gelu_tanh", "sigmoid", "silu", "tanh", "log_softmax")},
    "layer_norm": arrays((2, 3, 4), "gamma", "beta"),
    "rms_norm": arrays((2, 3, 4), "gamma"),
    "scaled_dot_product_attention": heads(CAUSAL & PADDING, p=0.2, queries=4, keys=4, d_head=3, d_value=3),
}
DATES = (("3 March 2021", "2021-03-03"), ("1 May 2020", "2020-05-01"))
LESSONS, LEARNING_RATE = 60, 0.01


class LossCase(Case):
    """A case whose output is the loss: its gradient is 1."""

    def upstream(self, index, output, drawn_in=None):
        return np.ones_like(output)


@functools.cache
def showcases():
    """{name: Case}."""
    attention = module_case("", "SelfAttention", sequences(CAUSAL & PADDING, "x", queries=4), dropout=0.2)
    encoder = dataclasses.replace(encoder_layer("", dropout=0.1), inputs=sequences(PADDING, "x", queries=4))
    decoder = dataclasses.replace(decoder_layer("", dropout=0.1), inputs=decoded)
    cases = {**{name: primitive(name) for name in PRIMITIVES}, "multi_head_attention": attention,
             "encoder_layer": encoder, "decoder_layer": decoder, "transformer": transformer()}
    return {name: dataclasses.replace(case, name=name) for name, case in cases.items()}


def primitive(name):
    """The case of the catalog, with inputs that are good to look at."""
    case = all_cases()[PRIMITIVES[name]]
    return dataclasses.replace(case, inputs=INPUTS.get(name, case.inputs))


def decoded(rng, dtype):
    """Inputs of a decoder layer: three tokens are written, the memory is padded."""
    return {**normal(rng, dtype, x=(2, 3, 8), memory=(2, 4, 8)), "mask": CAUSAL[..., :3, :3], "memory_mask": PADDING}


# The whole model


def transformer():
    """A Transformer of two layers on either side translates two dates; the loss is the end."""
    def build(twin, dtype, rng):
        size = len(task().vocabulary)
        config = TransformerConfig(size, size, d_model=8, num_heads=2, num_encoder_layers=2, num_decoder_layers=2,
                                   d_ff=16, dropout=0.0, max_length=16)
        return with_loss(twin, twin.models.transformer.Transformer(config, rng=rng, dtype=dtype), label_smoothing=0.1)

    def inputs(rng, dtype):
        return {"source_ids": dates().source_ids, "target_ids": dates().target_in_ids,
                "targets": dates().target_out_ids}

    return LossCase("transformer", build, inputs, bound=MODEL_BOUND, prepare=teach, zero_gradients=ZERO_GRADIENTS,
                    omitted=OMITTED | SMOOTHED_OMITTED)


@functools.cache
def task():
    return make_task("dates")


@functools.cache
def dates():
    """The Batch of DATES."""
    return make_batch(task().vocabulary, [Example(task().normalise(source), target) for source, target in DATES])


def teach(model, rng):
    """Draw the weights as for training, and train on the two dates for a moment: else attention would look at nothing.
    """
    transformer = model.transformer
    fresh = Transformer(transformer.config, rng=rng, dtype=transformer.output_projection.weight.dtype)
    transformer.load_state_dict(fresh.state_dict())
    optimizer = Adam(transformer.named_parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98))
    for _ in range(LESSONS):
        optimizer.zero_grad()
        accumulate_gradients(transformer, model.loss, dates(), dates().target_count)
        optimizer.step()
    optimizer.zero_grad()


# By name


def find_case(name):
    """The Case of this name: a showcase, or one of the catalog, with or without its file ("LayerNorm").

    UserError, with names that are alike, if there is none.
    """
    catalog = all_cases()
    cases = {**{full.partition(": ")[2]: case for full, case in catalog.items()}, **catalog, **showcases()}
    if name in cases:
        return cases[name]
    small = {known.lower(): known for known in cases}
    alike = [small[found] for found in difflib.get_close_matches(name.lower(), small, 3)]
    hint = f"did you mean {' or '.join(map(repr, alike))}?" if alike else "--list shows all"
    raise UserError(f"CASE: there is no case {name!r}; {hint}")
