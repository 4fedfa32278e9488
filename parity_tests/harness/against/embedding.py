"""torch's own embedding."""

from torch.nn import functional as F

from parity_tests.harness.against import Other, named


def embedding(padding_idx=None, scale=1.0):
    return lambda values: F.embedding(values["ids"], values["weight"], padding_idx) * scale


OTHERS = [Other("torch.nn.functional.embedding", named(f"embedding: {name}"), embedding(padding_idx, scale))
          for name, padding_idx, scale in (
              ("embedding, padding_idx=None, scale=1.0", None, 1.0),
              ("embedding, padding_idx=2, scale=1.5", 2, 1.5),
              ("Embedding, padding_idx=None, scale=False, int64", None, 1.0),
              ("Embedding, padding_idx=2, scale=True, int64", 2, 2.0),
              ("Embedding, padding_idx=0, scale=False, int32", 0, 1.0),
              ("Embedding of 300 rows, int32", None, 1.0),
              ("Embedding of 300 rows, int64", None, 1.0))]
