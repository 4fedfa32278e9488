"""The linear layer y = x Wᵀ + b."""

import torch

from numpy_impl import checks, initialization
from torch_impl.module import Module, Parameter, tensor


def linear(x, weight, bias):
    """y = x Wᵀ + b, for each row of x on its own.

    x: (..., d_in). weight: (d_out, d_in). bias: (d_out,) or None. Returns y: (..., d_out).
    """
    rows = x.reshape(-1, x.shape[-1])                            # (N, d_in), N tokens: one product for all
    product = rows @ weight.T                                    # (N, d_out)
    y_rows = product if bias is None else product + bias         # (N, d_out)
    y = y_rows.reshape(*x.shape[:-1], weight.shape[0])           # (..., d_out)
    return y


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
        self.weight = Parameter(tensor(initialization.xavier_uniform(rng, (d_out, d_in), dtype)))
        self.bias = Parameter(tensor(initialization.constant(0, (d_out,), dtype))) if bias else None

    def forward(self, x):
        checks.activations("x", x, torch.Tensor, width=self.d_in, dtype=self.weight.dtype)
        return linear(x, self.weight, self.bias)
