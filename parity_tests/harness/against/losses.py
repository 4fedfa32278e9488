"""torch's own cross-entropy."""

from torch.nn import functional as F

from parity_tests.harness.against import Other, named


def cross_entropy(**options):
    """F.cross_entropy of the inputs of a case, whatever its shape."""
    def other(values):
        logits = values["logits"]
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), values["targets"].reshape(-1), **options)
    return other


def part_of_a_batch(values):
    """The sum over the targets of the part, divided by the count of the whole batch."""
    return cross_entropy(label_smoothing=0.1, ignore_index=3, reduction="sum")(values) / 20


OTHERS = [
    *(Other("torch.nn.functional.cross_entropy", named(f"losses: {name}"), cross_entropy(**options))
      for name, options in (
          ("cross_entropy", {}),
          ("cross_entropy with smoothing", {"label_smoothing": 0.1, "ignore_index": -1}),
          ("CrossEntropyLoss", {}),
          ("CrossEntropyLoss with padding", {"label_smoothing": 0.1, "ignore_index": 0}),
          ("CrossEntropyLoss of rows", {"label_smoothing": 0.3}))),
    Other("torch.nn.functional.cross_entropy", named("losses: cross_entropy of a part of a batch"), part_of_a_batch),
]
