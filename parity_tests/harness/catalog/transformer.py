"""Cases of models/transformer.py."""

import dataclasses

import numpy as np

from numpy_impl.models.config import TransformerConfig
from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.attention import ZERO_GRADIENTS
from parity_tests.harness.catalog.encoder import OMITTED, draw_vectors
from parity_tests.harness.catalog.losses import SMOOTHED_OMITTED
from parity_tests.harness.judge import MODEL_BOUND

BEGIN, END = 1, 2    # 0 is the padding
CONFIG = TransformerConfig(9, 9, d_model=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1, d_ff=6,
                           dropout=0.0, max_length=8)
PADDING_ROWS = {"source_embedding.weight": 0, "target_embedding.weight": 0}
TWO_LAYERS = {"num_encoder_layers": 2, "num_decoder_layers": 2}
# Padded, with repeated ids; the second source is nothing but padding.
SOURCE_IDS = np.array([[3, 4, 3, 5], [0, 0, 0, 0], [6, 6, 0, 0]])
TARGET_IDS = np.array([[1, 5, 5, 4, 7], [1, 3, 0, 0, 0], [1, 8, 3, 8, 0]])
TARGETS = np.array([[5, 5, 4, 7, 2], [3, 2, 0, 0, 0], [8, 3, 8, 2, 0]])


def model(name, *, training=True, **changes):
    """A case of `Transformer`; `changes` replace fields of CONFIG."""
    config = dataclasses.replace(CONFIG, **changes)
    return Case(f"transformer: {name}",
                lambda twin, dtype, rng: twin.models.transformer.Transformer(config, rng=rng, dtype=dtype),
                lambda rng, dtype: {"source_ids": SOURCE_IDS, "target_ids": TARGET_IDS},
                bound=MODEL_BOUND, training=training, prepare=draw_vectors, zero_gradients=ZERO_GRADIENTS,
                omitted=OMITTED, cut_rows=PADDING_ROWS)


def with_loss(twin, transformer, label_smoothing):
    """A module of either twin: the model and its loss, as the trainer puts them together."""
    class ModelWithLoss(twin.module.Module):
        def __init__(self):
            super().__init__()
            self.transformer = transformer
            self.loss = twin.layers.losses.CrossEntropyLoss(CONFIG.padding_idx, label_smoothing)

        def forward(self, source_ids, target_ids, targets):
            return self.loss(self.transformer(source_ids, target_ids), targets)

        def backward(self, d_loss):
            self.transformer.backward(self.loss.backward(d_loss))

    return ModelWithLoss()


def loss(name, *, seed=0, **changes):
    """A case of `Transformer` and `CrossEntropyLoss`."""
    case = dataclasses.replace(model(name, **changes), seed=seed)
    return dataclasses.replace(
        case, build=lambda twin, dtype, rng: with_loss(twin, case.build(twin, dtype, rng), 0.1),
        inputs=lambda rng, dtype: {**case.inputs(rng, dtype), "targets": TARGETS}, omitted=OMITTED | SMOOTHED_OMITTED)


CASES = [
    model("tied, post-norm"),
    model("tied, pre-norm", norm_first=True),
    model("untied, post-norm", tie_weights=False, target_vocabulary_size=10),
    model("untied, pre-norm", tie_weights=False, norm_first=True),
    model("dropout", dropout=0.3),
    model("dropout, untied, pre-norm, GELU", dropout=0.3, tie_weights=False, norm_first=True, activation="gelu"),
    model("evaluation", dropout=0.3, training=False),
    dataclasses.replace(model("another padding, unequal depths", padding_idx=3, num_decoder_layers=2),
                        cut_rows=dict.fromkeys(PADDING_ROWS, 3)),
    loss("with loss", seed=1, **TWO_LAYERS),
    loss("with loss, dropout, pre-norm", dropout=0.3, norm_first=True, **TWO_LAYERS),
]
