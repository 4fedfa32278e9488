"""Activations: functions of one number, applied to each element of an array."""

import math

import torch

from numpy_impl import checks
from torch_impl.module import Module

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)

# ReLU


def relu(x):
    """y = max(x, 0). x: any shape. Returns y.

    Source: Nair and Hinton (2010), "Rectified Linear Units Improve Restricted Boltzmann Machines".
    """
    y = torch.relu(x)
    return y


# GELU: x times the probability that a standard normal number is below x


def gelu_erf(x):
    """y = x Φ(x), where Φ(x) = (1 + erf(x / √2)) / 2 is the normal distribution function. x: any shape.

    Returns y.
    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 2.
    """
    scaled = x * SQRT_HALF
    error = torch.erf(scaled)                                    # from -1 to 1
    probability = (1 + error) * 0.5                              # Φ(x)
    y = x * probability
    return y


def gelu_tanh(x):
    """y = x Φ(x) with Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, which needs no erf. x: any shape.

    Returns y. It differs from `gelu_erf` by less than 0.0005.
    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 2.
    """
    cubed = x * x * x                                            # never x**3, which is a hundred times slower
    inner = (x + cubed * 0.044715) * SQRT_2_OVER_PI
    bent = torch.tanh(inner)                                     # from -1 to 1
    probability = (1 + bent) * 0.5                               # about Φ(x)
    y = x * probability
    return y


# Sigmoid


def sigmoid(x):
    """y = 1 / (1 + exp(-x)), from 0 to 1. x: any shape. Returns y.

    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.2.2.2.
    """
    y = torch.sigmoid(x)                                         # written out, autograd would give NaN far left
    return y


# SiLU


def silu(x):
    """y = x sigmoid(x), also known as Swish. x: any shape. Returns y.

    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 4;
    Ramachandran, Zoph and Le (2017), "Searching for Activation Functions".
    """
    gate = sigmoid(x)
    y = x * gate
    return y


# Tanh


def tanh(x):
    """y = tanh(x), from -1 to 1. x: any shape. Returns y."""
    y = torch.tanh(x)
    return y


# Modules


class ReLU(Module):
    """max(x, 0) of x: (...) of float32 or float64; TypeError otherwise.

    Source: Nair and Hinton (2010), "Rectified Linear Units Improve Restricted Boltzmann Machines".
    """

    def forward(self, x):
        checks.activations("x", x, torch.Tensor)
        return relu(x)


class GELU(Module):
    """GELU of x: (...) of float32 or float64; TypeError otherwise.

    approximate: "none" (with erf, exact) or "tanh"; it has no default, since models differ; else ValueError.
    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 2.
    """

    def __init__(self, approximate):
        super().__init__()
        checks.choice("approximate", approximate, ("none", "tanh"))
        self.approximate = approximate

    def forward(self, x):
        checks.activations("x", x, torch.Tensor)
        return gelu_erf(x) if self.approximate == "none" else gelu_tanh(x)


class SiLU(Module):
    """x sigmoid(x) of x: (...) of float32 or float64; TypeError otherwise.

    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 4.
    """

    def forward(self, x):
        checks.activations("x", x, torch.Tensor)
        return silu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)) of x: (...) of float32 or float64; TypeError otherwise.

    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.2.2.2.
    """

    def forward(self, x):
        checks.activations("x", x, torch.Tensor)
        return sigmoid(x)


class Tanh(Module):
    """tanh(x) of x: (...) of float32 or float64; TypeError otherwise."""

    def forward(self, x):
        checks.activations("x", x, torch.Tensor)
        return tanh(x)


def activation(name):
    """A new module by name: "relu", "gelu" (with erf), "gelu_tanh", "silu", "sigmoid" or "tanh"; else ValueError."""
    checks.activation_name(name)
    if name == "gelu":
        return GELU("none")
    if name == "gelu_tanh":
        return GELU("tanh")
    return {"relu": ReLU, "silu": SiLU, "sigmoid": Sigmoid, "tanh": Tanh}[name]()
