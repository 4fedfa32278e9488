"""torch's own encoder on the parameters of ours, and, in training, its parts written out on the same dropout masks."""

from numpy_impl.models.config import TransformerConfig
from parity_tests.harness import torch_functions, torch_modules
from parity_tests.harness.against import Other, named
from parity_tests.harness.catalog.encoder import SIZES
from parity_tests.harness.catalog.residual import PLACEMENTS

IN_TRAINING = "torch.nn.functional, on the same dropout masks"


def layer(norm_first, activation="relu"):
    theirs = torch_modules.build_layer("encoder", SIZES, norm_first, activation)
    return lambda v: torch_modules.encode(theirs, torch_modules.layer_parameters("encoder", v), v["x"], v["mask"])


def stack(norm_first):
    theirs = torch_modules.build_stack("encoder", SIZES, norm_first, num_layers=2)
    return lambda v: torch_modules.encode(theirs, torch_modules.stack_parameters("encoder", v), v["x"], v["mask"])


def config_in_training(norm_first):
    d_model, num_heads, d_ff = SIZES
    return TransformerConfig(9, 9, d_model, num_heads, d_ff=d_ff, dropout=0.3, norm_first=norm_first)


def layer_in_training(norm_first):
    """Dropout of the weights, of the activated features and of what each sublayer says, and nowhere else."""
    config = config_in_training(norm_first)
    return lambda v: torch_functions.layer(v, "", v["x"], v["mask"], config)


OTHERS = [
    *(Other("torch.nn.TransformerEncoderLayer", named(f"encoder: EncoderLayer, {name}"), layer(norm_first, activation))
      for name, norm_first, activation in (("post-norm", False, "relu"), ("pre-norm", True, "relu"),
                                           ("without mask", False, "relu"), ("GELU", False, "gelu"))),
    *(Other(IN_TRAINING, named(f"encoder: EncoderLayer, {placement}, dropout"), layer_in_training(norm_first))
      for placement, norm_first in PLACEMENTS.items()),
    *(Other("torch.nn.TransformerEncoder", named(f"encoder: Encoder, {placement}"), stack(norm_first))
      for placement, norm_first in PLACEMENTS.items()),
]
