"""Both placements of the norm, y = norm(x + sublayer(x)) and y = x + sublayer(norm(x)), written out with torch."""

from torch.nn import functional as F

from parity_tests.harness import torch_functions
from parity_tests.harness.against import Other, named
from parity_tests.harness.against.attention import from_torch_parts
from parity_tests.harness.against.feed_forward import gated_layer, layer
from parity_tests.harness.catalog.residual import PLACEMENTS
from parity_tests.harness.torch_modules import below

SUBLAYERS = {"self-attention": from_torch_parts(2), "cross-attention": from_torch_parts(2),
             "feed-forward": layer(F.relu), "gated feed-forward": gated_layer(F.silu)}


def residual(norm_first, sublayer, p):
    def other(v):
        def norm(x):
            return F.layer_norm(x, (8,), v["norm.gamma"], v["norm.beta"], 1e-5)

        def transform(x):
            return torch_functions.dropout("dropout", sublayer({**v, **below("sublayer", v), "x": x}), p)

        return v["x"] + transform(norm(v["x"])) if norm_first else norm(v["x"] + transform(v["x"]))
    return other


OTHERS = [Other("torch.nn.functional", named(f"residual: {placement}, {name}{suffix}"),
                residual(norm_first, sublayer, p))
          for placement, norm_first in PLACEMENTS.items() for name, sublayer in SUBLAYERS.items()
          for suffix, p in (("", 0.0), (", dropout", 0.4)) if (name, p) != ("gated feed-forward", 0.4)]
