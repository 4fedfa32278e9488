"""Cases of layers/activations.py."""

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.linear import rows

FUNCTIONS = ("relu", "gelu_erf", "gelu_tanh", "silu", "sigmoid", "tanh")
NAMES = ("relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh")    # as `activation` takes them
OMITTED = {"gelu_tanh_lean": ("cubed", "inner"),
           "gelu_tanh_lean_backward": ("d_cubed", "d_inner", "d_bent", "d_probability")}


def function(name):
    """The case of one function; ReLU has a kink."""
    return Case(f"activations: {name}", lambda twin, dtype, rng: getattr(twin.layers.activations, name), rows(2, 3, 5),
                analytic=name != "relu", omitted=OMITTED if name == "gelu_tanh" else {})


def module(name):
    """The case of the module that `activation(name)` makes."""
    return Case(f'activations: activation("{name}")', lambda twin, dtype, rng: twin.layers.activations.activation(name),
                rows(2, 3, 5), omitted=OMITTED if name == "gelu_tanh" else {})


CASES = [*map(function, FUNCTIONS), *map(module, NAMES)]
