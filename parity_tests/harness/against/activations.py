"""torch's own activation functions."""

import torch
from torch.nn import functional as F

from parity_tests.harness.against import Other, named
from parity_tests.harness.catalog.activations import FUNCTIONS, NAMES


def gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


TORCH_FUNCTIONS = {"relu": F.relu, "gelu_erf": F.gelu, "gelu_tanh": gelu_tanh, "silu": F.silu,
                   "sigmoid": torch.sigmoid, "tanh": torch.tanh}
WHERE = {"relu": "nn.functional.relu", "gelu_erf": "nn.functional.gelu", "silu": "nn.functional.silu",
         "gelu_tanh": 'nn.functional.gelu, approximate="tanh"', "sigmoid": "sigmoid", "tanh": "tanh"}


def of_x(function):
    return lambda values: TORCH_FUNCTIONS[function](values["x"])


OTHERS = [Other(f"torch.{WHERE[function]}", named(f"activations: {case}"), of_x(function))
          for function, name in zip(FUNCTIONS, NAMES) for case in (function, f'activation("{name}")')]
