"""Feed-forward layers from torch's functions."""

from torch.nn import functional as F

from parity_tests.harness import torch_functions
from parity_tests.harness.against import Other, named
from parity_tests.harness.against.activations import gelu_tanh


def layer(activation, p=0.0):
    def other(v):
        activated = activation(F.linear(v["x"], v["up.weight"], v.get("up.bias")))
        return F.linear(torch_functions.dropout("dropout", activated, p), v["down.weight"], v.get("down.bias"))
    return other


def gated_layer(activation, p=0.0):
    """The gate is activated, and the other way stays linear (Shazeer 2020, eq. 6)."""
    def other(v):
        gate = activation(F.linear(v["x"], v["gate.weight"], v.get("gate.bias")))
        content = F.linear(v["x"], v["up.weight"], v.get("up.bias"))
        gated = torch_functions.dropout("dropout", gate * content, p)
        return F.linear(gated, v["down.weight"], v.get("down.bias"))
    return other


OTHERS = [
    *(Other("torch.nn.functional", named(f"feed_forward: FeedForward, {name}"), layer(activation, p))
      for name, activation, p in (
          ("ReLU", F.relu, 0), ("GELU", F.gelu, 0), ("GELU by tanh", gelu_tanh, 0), ("without bias", F.relu, 0),
          ("dropout", F.relu, 0.4), ("evaluation", F.relu, 0), ("of (N, D)", F.relu, 0), ("of (D,)", F.relu, 0))),
    *(Other("torch.nn.functional", named(f"feed_forward: GatedFeedForward, {name}"), gated_layer(activation, p))
      for name, activation, p in (
          ("SwiGLU", F.silu, 0), ("GEGLU", F.gelu, 0), ("GEGLU by tanh", gelu_tanh, 0), ("bias", F.silu, 0),
          ("dropout", F.silu, 0.4), ("of (N, D)", F.silu, 0), ("of (D,)", F.silu, 0))),
]
