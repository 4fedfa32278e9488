"""Normalization: LayerNorm and RMSNorm over the features of one token, BatchNorm1d over the tokens of a batch."""

import torch

from numpy_impl import checks, initialization
from torch_impl.module import Module, Parameter, tensor

# Layer normalization


def layer_norm(x, gamma, beta, eps):
    """Shift and scale each row of x to mean 0 and variance 1, then by the trained gamma and beta.

    x: (..., D). gamma, beta: (D,). eps: keeps the root away from 0. Returns y: (..., D).
    Source: Ba, Kiros and Hinton (2016), "Layer Normalization", eq. 4; variance biased, eps inside the root.
    """
    mean = x.mean(dim=-1, keepdim=True)                          # (..., 1)
    centered = x - mean                                          # (..., D)
    squared = centered * centered                                # (..., D)
    variance = squared.mean(dim=-1, keepdim=True)                # (..., 1)
    std = torch.sqrt(variance + eps)                             # (..., 1)
    x_hat = centered / std                                       # (..., D)
    scaled = x_hat * gamma                                       # (..., D)
    y = scaled + beta                                            # (..., D)
    return y


class LayerNorm(Module):
    """Layer normalization of (..., d_model), with trained gamma (d_model,), at first 1, and beta (d_model,), 0.

    Forward takes x: (..., d_model) of the parameters' dtype; TypeError or ValueError otherwise. eps is at least 0.
    Source: Ba, Kiros and Hinton (2016), "Layer Normalization", eq. 4.
    """

    def __init__(self, d_model, eps=1e-5, *, dtype="float32"):
        super().__init__()
        checks.positive_int("d_model", d_model)
        dtype = checks.parameter_dtype(dtype)
        self.d_model = d_model
        self.eps = checks.not_negative("eps", eps)
        self.gamma = Parameter(tensor(initialization.constant(1, (d_model,), dtype)))
        self.beta = Parameter(tensor(initialization.constant(0, (d_model,), dtype)))

    def forward(self, x):
        checks.activations("x", x, torch.Tensor, width=self.d_model, dtype=self.gamma.dtype)
        return layer_norm(x, self.gamma, self.beta, self.eps)


# Root mean square normalization


def rms_norm(x, gamma, eps):
    """Scale each row of x to mean square 1, then by the trained gamma.

    x: (..., D). gamma: (D,). eps: keeps the root away from 0. Returns y: (..., D).
    Source: Zhang and Sennrich (2019), "Root Mean Square Layer Normalization", eq. 4; eps inside the root.
    """
    squared = x * x                                              # (..., D)
    mean_square = squared.mean(dim=-1, keepdim=True)             # (..., 1)
    rms = torch.sqrt(mean_square + eps)                          # (..., 1)
    x_hat = x / rms                                              # (..., D)
    y = x_hat * gamma                                            # (..., D)
    return y


class RMSNorm(Module):
    """Root mean square normalization of (..., d_model), with a trained gamma (d_model,), 1 at first.

    Forward takes x: (..., d_model) of the parameters' dtype; TypeError or ValueError otherwise. eps is at least 0.
    Source: Zhang and Sennrich (2019), "Root Mean Square Layer Normalization", eq. 4.
    Departures: eps inside the root, as LLaMA has it; the paper has none.
    """

    def __init__(self, d_model, eps=1e-5, *, dtype="float32"):
        super().__init__()
        checks.positive_int("d_model", d_model)
        dtype = checks.parameter_dtype(dtype)
        self.d_model = d_model
        self.eps = checks.not_negative("eps", eps)
        self.gamma = Parameter(tensor(initialization.constant(1, (d_model,), dtype)))

    def forward(self, x):
        checks.activations("x", x, torch.Tensor, width=self.d_model, dtype=self.gamma.dtype)
        return rms_norm(x, self.gamma, self.eps)


# Batch normalization


def batch_norm(x, gamma, beta, mean, variance, eps):
    """Shift and scale each feature by the given statistics (evaluation mode), then by the trained gamma and beta.

    x: (..., D). gamma, beta, mean, variance: (D,). eps: keeps the root away from 0. Returns y: (..., D).
    Source: Ioffe and Szegedy (2015), "Batch Normalization", algorithm 2.
    """
    std = torch.sqrt(variance + eps)                             # (D,)
    x_hat = (x - mean) / std                                     # (..., D)
    scaled = x_hat * gamma                                       # (..., D)
    y = scaled + beta                                            # (..., D)
    return y


def batch_norm_training(x, gamma, beta, eps):
    """Shift and scale each feature to mean 0 and variance 1 over all rows, then by the trained gamma and beta.

    x: (..., D). gamma, beta: (D,). eps: keeps the root away from 0.
    Returns y: (..., D) and the batch's mean and biased variance (D,).
    Source: Ioffe and Szegedy (2015), "Batch Normalization", algorithm 1.
    """
    rows = x.reshape(-1, x.shape[-1])                            # (N, D)
    count = max(rows.shape[0], 1)                                # an empty batch has mean 0, not 0 / 0
    mean = rows.sum(dim=0) / count                               # (D,)
    centered = rows - mean                                       # (N, D)
    squared = centered * centered                                # (N, D)
    variance = squared.sum(dim=0) / count                        # (D,)
    std = torch.sqrt(variance + eps)                             # (D,)
    x_hat = centered / std                                       # (N, D)
    scaled = x_hat * gamma                                       # (N, D)
    y_rows = scaled + beta                                       # (N, D)
    y = y_rows.reshape(x.shape)                                  # (..., D)
    return y, mean, variance


class BatchNorm1d(Module):
    """Batch normalization of (N, d_model) or (B, T, d_model): each feature over all rows, padding counted.

    In training it uses the batch's statistics and moves running_mean and running_variance (d_model,) towards them by
    `momentum`, the variance unbiased; in evaluation it uses the running ones. An empty batch changes nothing.
    Errors: another shape, a single row in training, eps below 0, momentum outside of 0 to 1 (ValueError); another
    dtype, eps or momentum no number (TypeError).
    Source: Ioffe and Szegedy (2015), "Batch Normalization". It is here to be compared with LayerNorm.
    Departures: the running statistics are moving averages, as torch has them; the paper averages over several batches.
    """

    running_mean: torch.Tensor        # (d_model,)
    running_variance: torch.Tensor    # (d_model,)

    def __init__(self, d_model, eps=1e-5, momentum=0.1, *, dtype="float32"):
        super().__init__()
        checks.positive_int("d_model", d_model)
        dtype = checks.parameter_dtype(dtype)
        self.d_model = d_model
        self.eps = checks.not_negative("eps", eps)
        self.momentum = checks.proportion("momentum", momentum)
        self.gamma = Parameter(tensor(initialization.constant(1, (d_model,), dtype)))
        self.beta = Parameter(tensor(initialization.constant(0, (d_model,), dtype)))
        self.register_buffer("running_mean", tensor(initialization.constant(0, (d_model,), dtype)))
        self.register_buffer("running_variance", tensor(initialization.constant(1, (d_model,), dtype)))

    def forward(self, x):
        checks.activations("x", x, torch.Tensor, width=self.d_model, dtype=self.gamma.dtype, rank=(2, 3))
        if not self.training:
            return batch_norm(x, self.gamma, self.beta, self.running_mean, self.running_variance, self.eps)
        count = x.numel() // self.d_model
        if count == 1:
            raise ValueError(f"x has shape {tuple(x.shape)}, must have more than one row in training: "
                             "one row has no variance")
        y, mean, variance = batch_norm_training(x, self.gamma, self.beta, self.eps)
        if count > 1:
            with torch.no_grad():
                unbiased = variance * (count / (count - 1))
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_variance += self.momentum * (unbiased - self.running_variance)
        return y
