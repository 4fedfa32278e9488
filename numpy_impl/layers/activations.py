"""Activations: functions of one number, applied to each element of an array."""

import math

import numpy as np

from numpy_impl import checks
from numpy_impl.module import Module

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)

# ReLU


def relu(x):
    """y = max(x, 0). x: any shape. Returns y and the cache.

    Source: Nair and Hinton (2010), "Rectified Linear Units Improve Restricted Boltzmann Machines".
    """
    y = np.maximum(x, 0)
    return y, (x,)


def relu_backward(d_y, cache):
    """Return d_x. The slope at the kink, x = 0, is taken as 0."""
    x, = cache
    # y = max(x, 0)
    d_x = d_y * (x > 0)                                          # eq: relu-d-x
    return d_x


# GELU: x times the probability that a standard normal number is below x


def gelu_erf(x):
    """y = x Φ(x), where Φ(x) = (1 + erf(x / √2)) / 2 is the normal distribution function. x: any shape.

    Returns y and the cache.
    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 2.
    """
    from scipy.special import erf

    scaled = x * SQRT_HALF
    error = erf(scaled)                                          # from -1 to 1
    probability = (1 + error) * 0.5                              # Φ(x)
    y = x * probability
    return y, (x, scaled, probability)


def gelu_erf_backward(d_y, cache):
    """Return d_x."""
    x, scaled, probability = cache
    # y = x * probability
    d_x_from_y = d_y * probability
    d_probability = d_y * x
    # probability = (1 + error) * 0.5
    d_error = d_probability * 0.5
    # error = erf(scaled)
    slope = np.exp(-scaled * scaled) * (2 / math.sqrt(math.pi))  # of erf, at scaled
    d_scaled = d_error * slope                                   # eq: gelu-erf-d-scaled
    # scaled = x * SQRT_HALF
    d_x_from_scaled = d_scaled * SQRT_HALF
    d_x = d_x_from_y + d_x_from_scaled                           # eq: gelu-erf-d-x
    return d_x


def gelu_tanh(x):
    """y = x Φ(x) with Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, which needs no erf. x: any shape.

    Returns y and the cache. It differs from `gelu_erf` by less than 0.0005.
    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 2.
    """
    cubed = x * x * x                                            # never x**3, which is a hundred times slower
    inner = (x + cubed * 0.044715) * SQRT_2_OVER_PI
    bent = np.tanh(inner)                                        # from -1 to 1
    probability = (1 + bent) * 0.5                               # about Φ(x)
    y = x * probability
    return y, (x, bent, probability)


def gelu_tanh_backward(d_y, cache):
    """Return d_x."""
    x, bent, probability = cache
    # y = x * probability
    d_x_from_y = d_y * probability
    d_probability = d_y * x
    # probability = (1 + bent) * 0.5
    d_bent = d_probability * 0.5
    # bent = tanh(inner)
    d_inner = d_bent * (1 - bent * bent)                         # eq: gelu-tanh-d-inner
    # inner = (x + cubed * 0.044715) * SQRT_2_OVER_PI
    d_x_from_inner = d_inner * SQRT_2_OVER_PI
    d_cubed = d_inner * (SQRT_2_OVER_PI * 0.044715)
    # cubed = x * x * x
    d_x_from_cubed = d_cubed * (x * x * 3)
    d_x = d_x_from_y + d_x_from_inner + d_x_from_cubed           # eq: gelu-tanh-d-x
    return d_x


def gelu_tanh_lean(x):
    """`gelu_tanh`, with the slope of y computed on the way. The cache is the slope alone."""
    square = x * x
    bent = np.tanh(x * (square * (SQRT_2_OVER_PI * 0.044715) + SQRT_2_OVER_PI))
    probability = (1 + bent) * 0.5
    half_inner_slope = square * (SQRT_2_OVER_PI * 0.044715 * 1.5) + SQRT_2_OVER_PI * 0.5
    slope = probability + x * (1 - bent * bent) * half_inner_slope   # eq: gelu-tanh-slope
    y = x * probability
    return y, (slope,)


def gelu_tanh_lean_backward(d_y, cache):
    """`gelu_tanh_backward` from the slope that `gelu_tanh_lean` kept: one product."""
    slope, = cache
    d_x = d_y * slope                                            # all of gelu-tanh-d-x, by gelu-tanh-slope
    return d_x


# Sigmoid


def sigmoid(x):
    """y = 1 / (1 + exp(-x)), from 0 to 1. x: any shape. Returns y and the cache.

    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.2.2.2.
    """
    with np.errstate(over="ignore"):                             # far left exp(-x) is inf, and y is 0, as it should be
        y = 1 / (1 + np.exp(-x))
    return y, (y,)


def sigmoid_backward(d_y, cache):
    """Return d_x."""
    y, = cache
    # y = 1 / (1 + exp(-x))
    d_x = d_y * (y * (1 - y))                                    # eq: sigmoid-d-x
    return d_x


# SiLU


def silu(x):
    """y = x sigmoid(x), also known as Swish. x: any shape. Returns y and the cache.

    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 4;
    Ramachandran, Zoph and Le (2017), "Searching for Activation Functions".
    """
    gate, gate_cache = sigmoid(x)
    y = x * gate
    return y, (x, gate, gate_cache)


def silu_backward(d_y, cache):
    """Return d_x."""
    x, gate, gate_cache = cache
    # y = x * gate
    d_x_from_y = d_y * gate
    d_gate = d_y * x
    # gate = sigmoid(x)
    d_x_from_gate = sigmoid_backward(d_gate, gate_cache)
    d_x = d_x_from_y + d_x_from_gate                             # eq: silu-d-x
    return d_x


# Tanh


def tanh(x):
    """y = tanh(x), from -1 to 1. x: any shape. Returns y and the cache."""
    y = np.tanh(x)
    return y, (y,)


def tanh_backward(d_y, cache):
    """Return d_x."""
    y, = cache
    # y = tanh(x)
    d_x = d_y * (1 - y * y)                                      # eq: tanh-d-x
    return d_x


# Modules


class ReLU(Module):
    """max(x, 0) of x: (...) of float32 or float64; TypeError otherwise.

    Source: Nair and Hinton (2010), "Rectified Linear Units Improve Restricted Boltzmann Machines".
    """

    def forward(self, x):
        checks.activations("x", x, np.ndarray)
        y, cache = relu(x)
        self.save_for_backward(cache, y)
        return y

    def backward(self, d_y):
        return relu_backward(d_y, self.saved(d_y))


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
        checks.activations("x", x, np.ndarray)
        if self.approximate == "none":
            forward, backward = gelu_erf, gelu_erf_backward
        elif self.plain:
            forward, backward = gelu_tanh, gelu_tanh_backward
        else:
            forward, backward = gelu_tanh_lean, gelu_tanh_lean_backward
        y, cache = forward(x)
        self.save_for_backward((backward, cache), y)
        return y

    def backward(self, d_y):
        backward, cache = self.saved(d_y)
        return backward(d_y, cache)


class SiLU(Module):
    """x sigmoid(x) of x: (...) of float32 or float64; TypeError otherwise.

    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 4.
    """

    def forward(self, x):
        checks.activations("x", x, np.ndarray)
        y, cache = silu(x)
        self.save_for_backward(cache, y)
        return y

    def backward(self, d_y):
        return silu_backward(d_y, self.saved(d_y))


class Sigmoid(Module):
    """1 / (1 + exp(-x)) of x: (...) of float32 or float64; TypeError otherwise.

    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.2.2.2.
    """

    def forward(self, x):
        checks.activations("x", x, np.ndarray)
        y, cache = sigmoid(x)
        self.save_for_backward(cache, y)
        return y

    def backward(self, d_y):
        return sigmoid_backward(d_y, self.saved(d_y))


class Tanh(Module):
    """tanh(x) of x: (...) of float32 or float64; TypeError otherwise."""

    def forward(self, x):
        checks.activations("x", x, np.ndarray)
        y, cache = tanh(x)
        self.save_for_backward(cache, y)
        return y

    def backward(self, d_y):
        return tanh_backward(d_y, self.saved(d_y))


def activation(name):
    """A new module by name: "relu", "gelu" (with erf), "gelu_tanh", "silu", "sigmoid" or "tanh"; else ValueError."""
    checks.activation_name(name)
    if name == "gelu":
        return GELU("none")
    if name == "gelu_tanh":
        return GELU("tanh")
    return {"relu": ReLU, "silu": SiLU, "sigmoid": Sigmoid, "tanh": Tanh}[name]()
