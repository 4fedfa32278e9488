"""torch's own softmax and log_softmax."""

import torch

from parity_tests.harness.against import Other, named


def softmax(axis):
    return lambda values: torch.softmax(values["x"], axis)


def log_softmax(axis):
    return lambda values: torch.log_softmax(values["x"], axis)


def weights_of_attention(values):
    """With a unit matrix as values, scaled_dot_product_attention returns the weights; queries pick rows of the keys."""
    x = values["x"]                                          # (2, 3, 4, 5), some of it -inf
    unmasked = torch.where(torch.isinf(x), 0, x)             # so that 0 * -inf does not come into it
    return torch.nn.functional.scaled_dot_product_attention(
        unmasked, torch.eye(5, dtype=x.dtype).expand(2, 3, 5, 5), torch.eye(5, dtype=x.dtype).expand(2, 3, 5, 5),
        attn_mask=~torch.isinf(x), scale=1.0)


OTHERS = [
    *(Other("torch.softmax", named(f"softmax: {name}"), softmax(axis))
      for name, axis in (("softmax", -1), ("Softmax", -1), ("Softmax along the first axis", 0))),
    *(Other("torch.log_softmax", named(f"softmax: {name}"), log_softmax(axis))
      for name, axis in (("log_softmax", -1), ("LogSoftmax", -1), ("log_softmax along the middle", 1))),
    # torch.softmax gives NaN in a fully masked row.
    Other("torch.nn.functional.scaled_dot_product_attention", named("softmax: softmax of masked scores"),
          weights_of_attention),
]
