"""torch's own normalization."""

import torch
from torch.nn import functional as F

from parity_tests.harness.against import Other, named


def layer_norm(eps=1e-5):
    return lambda v: F.layer_norm(v["x"], v["x"].shape[-1:], v["gamma"], v["beta"], eps)


def rms_norm(eps=1e-5):
    return lambda v: F.rms_norm(v["x"], v["x"].shape[-1:], v["gamma"], eps)


def batch_norm(eps=1e-5, mean=None, variance=None):
    """With the batch's own statistics, or with those that are given."""
    def other(v):
        rows = v["x"].reshape(-1, 5)
        return F.batch_norm(rows, mean, variance, v["gamma"], v["beta"], training=mean is None, eps=eps
                            ).reshape(v["x"].shape)
    return other


def batch_norm_in_evaluation(name, eps):
    """With the running statistics that the case has drawn."""
    case = named(f"normalization: BatchNorm1d {name}")

    def other(v):
        state = case.numpy_twin().state_dict()
        return batch_norm(eps, *(torch.from_numpy(state[f"running_{part}"]) for part in ("mean", "variance")))(v)

    return Other("torch.nn.functional.batch_norm", case, other)


OTHERS = [
    *(Other("torch.nn.functional.layer_norm", named(f"normalization: {name}"), layer_norm(eps))
      for name, eps in (("LayerNorm", 1e-5), ("layer_norm", 1e-5), ("LayerNorm, eps", 0.1))),
    *(Other("torch.nn.functional.rms_norm", named(f"normalization: {name}"), rms_norm(eps))
      for name, eps in (("RMSNorm", 1e-5), ("rms_norm", 1e-5), ("RMSNorm, eps", 0.1))),
    *(Other("torch.nn.functional.batch_norm", named(f"normalization: {name}"), batch_norm(eps))
      for name, eps in (("batch_norm_training", 1e-5), ("BatchNorm1d", 1e-5), ("BatchNorm1d of (N, D)", 1e-5),
                        ("BatchNorm1d, eps and momentum", 0.1))),
    Other("torch.nn.functional.batch_norm", named("normalization: batch_norm"),
          lambda v: batch_norm(1e-5, v["mean"], v["variance"])(v)),
    *(batch_norm_in_evaluation(name, eps)
      for name, eps in (("in evaluation", 1e-5), ("of (N, D) in evaluation", 1e-5), ("in evaluation, eps", 0.1))),
]
