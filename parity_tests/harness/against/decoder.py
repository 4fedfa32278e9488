"""torch's own decoder on the parameters of ours, and, in training, its parts written out on the same dropout masks."""

from parity_tests.harness import torch_functions, torch_modules
from parity_tests.harness.against import Other, named
from parity_tests.harness.against.encoder import IN_TRAINING, config_in_training
from parity_tests.harness.catalog.encoder import SIZES
from parity_tests.harness.catalog.residual import PLACEMENTS


def decode(theirs, parameters, v):
    return torch_modules.decode(theirs, parameters("decoder", v), v["x"], v["memory"], v["mask"], v["memory_mask"])


def layer(norm_first, activation="relu"):
    theirs = torch_modules.build_layer("decoder", SIZES, norm_first, activation)
    return lambda v: decode(theirs, torch_modules.layer_parameters, v)


def stack(norm_first, num_layers):
    """The memory's gradient is the sum over all layers."""
    theirs = torch_modules.build_stack("decoder", SIZES, norm_first, num_layers)
    return lambda v: decode(theirs, torch_modules.stack_parameters, v)


def layer_in_training(norm_first):
    """Dropout of the weights, of the activated features and of what each sublayer says, and nowhere else."""
    config = config_in_training(norm_first)
    return lambda v: torch_functions.layer(v, "", v["x"], v["mask"], config, v["memory"], v["memory_mask"])


OTHERS = [
    *(Other("torch.nn.TransformerDecoderLayer", named(f"decoder: DecoderLayer, {name}"), layer(norm_first, activation))
      for name, norm_first, activation in (("post-norm", False, "relu"), ("pre-norm", True, "relu"),
                                           ("without masks", False, "relu"), ("GELU", False, "gelu"))),
    *(Other(IN_TRAINING, named(f"decoder: DecoderLayer, {placement}, dropout"), layer_in_training(norm_first))
      for placement, norm_first in PLACEMENTS.items()),
    *(Other("torch.nn.TransformerDecoder", named(f"decoder: Decoder, {name}"), stack(norm_first, num_layers))
      for name, norm_first, num_layers in (("post-norm", False, 2), ("pre-norm", True, 2), ("three layers", True, 3))),
]
