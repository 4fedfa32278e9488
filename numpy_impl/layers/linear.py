"""The linear layer y = x Wᵀ + b."""

import numpy as np

from numpy_impl import checks, initialization
from numpy_impl.module import Module, Parameter


def linear(x, weight, bias):
    """y = x Wᵀ + b, for each row of x on its own.

    x: (..., d_in). weight: (d_out, d_in). bias: (d_out,) or None. Returns y: (..., d_out) and the cache.
    """
    rows = x.reshape(-1, x.shape[-1])                            # (N, d_in), N tokens: one product for all
    product = rows @ weight.T                                    # (N, d_out)
    y_rows = product if bias is None else product + bias         # (N, d_out)
    y = y_rows.reshape(*x.shape[:-1], weight.shape[0])           # (..., d_out)
    return y, (rows, weight, bias, x.shape)


def linear_backward(d_y, cache):
    """Return d_x: (..., d_in), d_weight: (d_out, d_in), d_bias: (d_out,) or None."""
    rows, weight, bias, x_shape = cache
    # y = y_rows.reshape(...)
    d_y_rows = d_y.reshape(-1, d_y.shape[-1])                    # (N, d_out)
    # y_rows = product + bias: each row adds the same bias
    d_product = d_y_rows
    d_bias = None if bias is None else d_y_rows.sum(axis=0)      # eq: linear-d-bias
    # product = rows @ weight.T
    d_weight = d_product.T @ rows                                # eq: linear-d-weight
    d_rows = d_product @ weight                                  # eq: linear-d-x
    # rows = x.reshape(...)
    d_x = d_rows.reshape(x_shape)
    return d_x, d_weight, d_bias


class Linear(Module):
    """y = x Wᵀ + b with a trained weight (d_out, d_in), Xavier-uniform at first, and bias (d_out,), zero at first.

    Forward takes x: (..., d_in) of the parameters' dtype and returns (..., d_out); TypeError or ValueError otherwise.
    """

    def __init__(self, d_in, d_out, bias=True, *, rng=None, dtype="float32"):
        super().__init__()
        checks.positive_int("d_in", d_in)
        checks.positive_int("d_out", d_out)
        dtype = checks.parameter_dtype(dtype)
        self.d_in = d_in
        self.weight = Parameter(initialization.xavier_uniform(rng, (d_out, d_in), dtype))
        self.bias = Parameter(initialization.constant(0, (d_out,), dtype)) if bias else None

    def forward(self, x):
        checks.activations("x", x, np.ndarray, width=self.d_in, dtype=self.weight.dtype)
        y, cache = linear(x, self.weight.data, None if self.bias is None else self.bias.data)
        self.save_for_backward(cache, y)
        return y

    def backward(self, d_y):
        d_x, d_weight, d_bias = linear_backward(d_y, self.saved(d_y))
        self.weight.grad += d_weight
        if self.bias is not None:
            self.bias.grad += d_bias
        return d_x
