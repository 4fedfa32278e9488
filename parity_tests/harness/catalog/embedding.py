"""Cases of layers/embedding.py."""

import numpy as np

from parity_tests.harness.cases import Case

NUM_EMBEDDINGS, D_MODEL = 6, 4


def repeated_ids(rng, dtype):
    """Inputs: ids (3, 5), some of them equal, one row of the table (5) never used."""
    return {"ids": rng.integers(0, NUM_EMBEDDINGS - 1, (3, 5))}


def cut_rows(padding_idx):
    return {} if padding_idx is None else {"weight": padding_idx}


def function(padding_idx, scale):
    """A case of `embedding`."""
    def inputs(rng, dtype):
        weight = rng.standard_normal((NUM_EMBEDDINGS, D_MODEL)).astype(dtype)
        return {**repeated_ids(rng, dtype), "weight": weight, "padding_idx": padding_idx, "scale": scale}
    return Case(f"embedding: embedding, padding_idx={padding_idx}, scale={scale}",
                lambda twin, dtype, rng: twin.layers.embedding.embedding, inputs, cut_rows=cut_rows(padding_idx))


def module(padding_idx, scale, int_type="int64"):
    """A case of `Embedding`."""
    def build(twin, dtype, rng):
        return twin.layers.embedding.Embedding(NUM_EMBEDDINGS, D_MODEL, padding_idx, scale, rng=rng, dtype=dtype)
    return Case(f"embedding: Embedding, padding_idx={padding_idx}, scale={scale}, {int_type}", build,
                lambda rng, dtype: {name: np.asarray(ids, int_type) for name, ids in repeated_ids(rng, dtype).items()},
                cut_rows=cut_rows(padding_idx))


def large_table(int_type):
    """A case of ids that a byte cannot hold."""
    return Case(f"embedding: Embedding of 300 rows, {int_type}",
                lambda twin, dtype, rng: twin.layers.embedding.Embedding(300, D_MODEL, rng=rng, dtype=dtype),
                lambda rng, dtype: {"ids": np.array([[3, 299, 256], [43, 0, 299]], int_type)})


CASES = [function(None, 1.0), function(2, 1.5), module(None, False), module(2, True), module(0, False, "int32"),
         large_table("int32"), large_table("int64")]
