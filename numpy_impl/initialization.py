"""Initial values, drawn once in NumPy for both twins: the same seed gives bit-identical weights.

Values are drawn in float64 and then rounded, so that a float32 model starts at the rounded float64 one.
"""

import contextlib
import threading

import numpy as np

_mode = threading.local()


@contextlib.contextmanager
def shapes_only():
    """Inside, parameters have shapes but own no memory: for counting the parameters of models of any size."""
    previous, _mode.shapes_only = is_shapes_only(), True
    try:
        yield
    finally:
        _mode.shapes_only = previous


def is_shapes_only():
    """True if the current thread is inside `shapes_only()`."""
    return getattr(_mode, "shapes_only", False)


def constant(value, shape, dtype):
    """An array of `shape` filled with `value`."""
    if is_shapes_only():
        return np.broadcast_to(np.zeros((), dtype), shape)
    return np.full(shape, value, dtype)


def zeros_like(array):
    """An array of zeros, of the shape and dtype of `array`: the first gradient of a parameter."""
    return constant(0, array.shape, array.dtype)


def normal(rng, std, shape, dtype):
    """Normally distributed values of mean 0 and standard deviation `std`.

    rng: np.random.Generator, or None for fresh entropy.
    """
    if is_shapes_only():
        return constant(0, shape, dtype)
    values = np.random.default_rng(rng).standard_normal(shape)
    return (values * std).astype(dtype)


def xavier_uniform(rng, shape, dtype):
    """Uniform values within ±sqrt(6 / (d_in + d_out)), for a weight of shape (d_out, d_in).

    They keep the variance of activations and of gradients near 1 through a linear layer.
    rng: np.random.Generator, or None for fresh entropy.
    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks",
    eq. 16.
    """
    if is_shapes_only():
        return constant(0, shape, dtype)
    d_out, d_in = shape
    limit = np.sqrt(6 / (d_in + d_out))
    return np.random.default_rng(rng).uniform(-limit, limit, shape).astype(dtype)
