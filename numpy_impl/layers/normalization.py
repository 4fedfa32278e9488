"""Normalization: LayerNorm and RMSNorm over the features of one token, BatchNorm1d over the tokens of a batch."""

import numpy as np

from numpy_impl import checks, initialization
from numpy_impl.module import Module, Parameter

# Layer normalization


def layer_norm(x, gamma, beta, eps):
    """Shift and scale each row of x to mean 0 and variance 1, then by the trained gamma and beta.

    x: (..., D). gamma, beta: (D,). eps: keeps the root away from 0. Returns y: (..., D) and the cache.
    Source: Ba, Kiros and Hinton (2016), "Layer Normalization", eq. 4; variance biased, eps inside the root.
    """
    mean = x.mean(axis=-1, keepdims=True)                        # (..., 1)
    centered = x - mean                                          # (..., D)
    squared = centered * centered                                # (..., D)
    variance = squared.mean(axis=-1, keepdims=True)              # (..., 1)
    std = np.sqrt(variance + eps)                                # (..., 1)
    x_hat = centered / std                                       # (..., D)
    scaled = x_hat * gamma                                       # (..., D)
    y = scaled + beta                                            # (..., D)
    return y, (centered, std, x_hat, gamma)


def layer_norm_backward(d_y, cache):
    """Return d_x: (..., D), d_gamma: (D,), d_beta: (D,), one step for each step of the forward."""
    centered, std, x_hat, gamma = cache
    leading = tuple(range(d_y.ndim - 1))                         # gamma and beta are shared by all rows
    # y = scaled + beta
    d_scaled = d_y                                               # (..., D)
    d_beta = d_y.sum(axis=leading)                               # eq: layer-norm-d-beta
    # scaled = x_hat * gamma
    d_gamma = (d_scaled * x_hat).sum(axis=leading)               # eq: layer-norm-d-gamma
    d_x_hat = d_scaled * gamma                                   # eq: layer-norm-d-x-hat
    # x_hat = centered / std
    d_centered_from_x_hat = d_x_hat / std                        # (..., D)
    d_std = -(d_x_hat * x_hat / std).sum(axis=-1, keepdims=True)     # eq: layer-norm-d-std
    # std = sqrt(variance + eps)
    d_variance = d_std / (2 * std)                               # eq: layer-norm-d-variance
    # variance = squared.mean()
    d_squared = np.broadcast_to(d_variance / d_y.shape[-1], d_y.shape)
    # squared = centered * centered
    d_centered_from_squared = d_squared * (2 * centered)
    d_centered = d_centered_from_x_hat + d_centered_from_squared     # eq: layer-norm-d-centered
    # centered = x - mean
    d_mean = -d_centered.sum(axis=-1, keepdims=True)             # (..., 1)
    # mean = x.mean()
    d_x = d_centered + d_mean / d_y.shape[-1]                    # eq: layer-norm-d-x
    return d_x, d_gamma, d_beta


def layer_norm_lean_backward(d_y, cache):
    """`layer_norm_backward` with all steps between d_x_hat and d_x collapsed into one formula.

    A row of x_hat stays as it is when x moves along the row of ones (a shift) or along x_hat (a scaling), so d_x has no
    part along either: `along_ones` and `along_x_hat` are how much of d_x_hat lies there.
    """
    _, std, x_hat, gamma = cache
    leading = tuple(range(d_y.ndim - 1))
    d_beta = d_y.sum(axis=leading)
    d_gamma = (d_y * x_hat).sum(axis=leading)
    d_x_hat = d_y * gamma
    along_ones = d_x_hat.mean(axis=-1, keepdims=True)            # (..., 1)
    along_x_hat = (d_x_hat * x_hat).mean(axis=-1, keepdims=True)     # (..., 1)
    d_x = (d_x_hat - along_ones - x_hat * along_x_hat) / std     # eq: layer-norm-d-x-collapsed
    return d_x, d_gamma, d_beta


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
        self.gamma = Parameter(initialization.constant(1, (d_model,), dtype))
        self.beta = Parameter(initialization.constant(0, (d_model,), dtype))

    def forward(self, x):
        checks.activations("x", x, np.ndarray, width=self.d_model, dtype=self.gamma.dtype)
        y, cache = layer_norm(x, self.gamma.data, self.beta.data, self.eps)
        backward = layer_norm_backward if self.plain else layer_norm_lean_backward
        self.save_for_backward((backward, cache), y)
        return y

    def backward(self, d_y):
        backward, cache = self.saved(d_y)
        d_x, d_gamma, d_beta = backward(d_y, cache)
        self.gamma.grad += d_gamma
        self.beta.grad += d_beta
        return d_x


# Root mean square normalization


def rms_norm(x, gamma, eps):
    """Scale each row of x to mean square 1, then by the trained gamma.

    x: (..., D). gamma: (D,). eps: keeps the root away from 0. Returns y: (..., D) and the cache.
    Source: Zhang and Sennrich (2019), "Root Mean Square Layer Normalization", eq. 4; eps inside the root.
    """
    squared = x * x                                              # (..., D)
    mean_square = squared.mean(axis=-1, keepdims=True)           # (..., 1)
    rms = np.sqrt(mean_square + eps)                             # (..., 1)
    x_hat = x / rms                                              # (..., D)
    y = x_hat * gamma                                            # (..., D)
    return y, (x, rms, x_hat, gamma)


def rms_norm_backward(d_y, cache):
    """Return d_x: (..., D), d_gamma: (D,)."""
    x, rms, x_hat, gamma = cache
    leading = tuple(range(d_y.ndim - 1))
    # y = x_hat * gamma
    d_gamma = (d_y * x_hat).sum(axis=leading)                    # eq: rms-norm-d-gamma
    d_x_hat = d_y * gamma                                        # (..., D)
    # x_hat = x / rms
    d_x_from_x_hat = d_x_hat / rms                               # (..., D)
    d_rms = -(d_x_hat * x_hat / rms).sum(axis=-1, keepdims=True)     # eq: rms-norm-d-rms
    # rms = sqrt(mean_square + eps)
    d_mean_square = d_rms / (2 * rms)                            # (..., 1)
    # mean_square = squared.mean()
    d_squared = np.broadcast_to(d_mean_square / d_y.shape[-1], d_y.shape)
    # squared = x * x
    d_x_from_squared = d_squared * (2 * x)
    d_x = d_x_from_x_hat + d_x_from_squared                      # eq: rms-norm-d-x
    return d_x, d_gamma


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
        self.gamma = Parameter(initialization.constant(1, (d_model,), dtype))

    def forward(self, x):
        checks.activations("x", x, np.ndarray, width=self.d_model, dtype=self.gamma.dtype)
        y, cache = rms_norm(x, self.gamma.data, self.eps)
        self.save_for_backward(cache, y)
        return y

    def backward(self, d_y):
        d_x, d_gamma = rms_norm_backward(d_y, self.saved(d_y))
        self.gamma.grad += d_gamma
        return d_x


# Batch normalization


def batch_norm(x, gamma, beta, mean, variance, eps):
    """Shift and scale each feature by the given statistics (evaluation mode), then by the trained gamma and beta.

    x: (..., D). gamma, beta, mean, variance: (D,). eps: keeps the root away from 0. Returns y: (..., D) and the cache.
    Source: Ioffe and Szegedy (2015), "Batch Normalization", algorithm 2.
    """
    std = np.sqrt(variance + eps)                                # (D,)
    x_hat = (x - mean) / std                                     # (..., D)
    scaled = x_hat * gamma                                       # (..., D)
    y = scaled + beta                                            # (..., D)
    return y, (std, x_hat, gamma)


def batch_norm_backward(d_y, cache):
    """Return d_x: (..., D), d_gamma: (D,), d_beta: (D,); the statistics are constants."""
    std, x_hat, gamma = cache
    leading = tuple(range(d_y.ndim - 1))
    # y = scaled + beta
    d_scaled = d_y
    d_beta = d_y.sum(axis=leading)
    # scaled = x_hat * gamma
    d_gamma = (d_scaled * x_hat).sum(axis=leading)
    d_x_hat = d_scaled * gamma
    # x_hat = (x - mean) / std
    d_x = d_x_hat / std                                          # eq: batch-norm-d-x
    return d_x, d_gamma, d_beta


def batch_norm_training(x, gamma, beta, eps):
    """Shift and scale each feature to mean 0 and variance 1 over all rows, then by the trained gamma and beta.

    x: (..., D). gamma, beta: (D,). eps: keeps the root away from 0.
    Returns y: (..., D), the batch's mean and biased variance (D,), and the cache.
    Source: Ioffe and Szegedy (2015), "Batch Normalization", algorithm 1.
    """
    rows = x.reshape(-1, x.shape[-1])                            # (N, D)
    count = max(rows.shape[0], 1)                                # an empty batch has mean 0, not 0 / 0
    mean = rows.sum(axis=0) / count                              # (D,)
    centered = rows - mean                                       # (N, D)
    squared = centered * centered                                # (N, D)
    variance = squared.sum(axis=0) / count                       # (D,)
    std = np.sqrt(variance + eps)                                # (D,)
    x_hat = centered / std                                       # (N, D)
    scaled = x_hat * gamma                                       # (N, D)
    y_rows = scaled + beta                                       # (N, D)
    y = y_rows.reshape(x.shape)                                  # (..., D)
    return y, mean, variance, (centered, std, x_hat, gamma, count)


def batch_norm_training_backward(d_y, cache):
    """Return d_x: (..., D), d_gamma: (D,), d_beta: (D,). As layer_norm_backward, with sums over rows, not features."""
    centered, std, x_hat, gamma, count = cache
    # y = y_rows.reshape(...)
    d_y_rows = d_y.reshape(centered.shape)                       # (N, D)
    # y_rows = scaled + beta
    d_scaled = d_y_rows
    d_beta = d_y_rows.sum(axis=0)                                # eq: batch-norm-d-beta
    # scaled = x_hat * gamma
    d_gamma = (d_scaled * x_hat).sum(axis=0)                     # eq: batch-norm-d-gamma
    d_x_hat = d_scaled * gamma
    # x_hat = centered / std
    d_centered_from_x_hat = d_x_hat / std
    d_std = -(d_x_hat * x_hat / std).sum(axis=0)                 # eq: batch-norm-d-std
    # std = sqrt(variance + eps)
    d_variance = d_std / (2 * std)
    # variance = squared.sum() / count
    d_squared = np.broadcast_to(d_variance / count, centered.shape)
    # squared = centered * centered
    d_centered_from_squared = d_squared * (2 * centered)
    d_centered = d_centered_from_x_hat + d_centered_from_squared
    # centered = rows - mean
    d_mean = -d_centered.sum(axis=0)
    # mean = rows.sum() / count
    d_rows = d_centered + d_mean / count                         # eq: batch-norm-training-d-x
    # rows = x.reshape(...)
    d_x = d_rows.reshape(d_y.shape)
    return d_x, d_gamma, d_beta


class BatchNorm1d(Module):
    """Batch normalization of (N, d_model) or (B, T, d_model): each feature over all rows, padding counted.

    In training it uses the batch's statistics and moves running_mean and running_variance (d_model,) towards them by
    `momentum`, the variance unbiased; in evaluation it uses the running ones. An empty batch changes nothing.
    Errors: another shape, a single row in training, eps below 0, momentum outside of 0 to 1 (ValueError); another
    dtype, eps or momentum no number (TypeError).
    Source: Ioffe and Szegedy (2015), "Batch Normalization". It is here to be compared with LayerNorm.
    Departures: the running statistics are moving averages, as torch has them; the paper averages over several batches.
    """

    running_mean: np.ndarray        # (d_model,)
    running_variance: np.ndarray    # (d_model,)

    def __init__(self, d_model, eps=1e-5, momentum=0.1, *, dtype="float32"):
        super().__init__()
        checks.positive_int("d_model", d_model)
        dtype = checks.parameter_dtype(dtype)
        self.d_model = d_model
        self.eps = checks.not_negative("eps", eps)
        self.momentum = checks.proportion("momentum", momentum)
        self.gamma = Parameter(initialization.constant(1, (d_model,), dtype))
        self.beta = Parameter(initialization.constant(0, (d_model,), dtype))
        self.register_buffer("running_mean", initialization.constant(0, (d_model,), dtype))
        self.register_buffer("running_variance", initialization.constant(1, (d_model,), dtype))

    def forward(self, x):
        checks.activations("x", x, np.ndarray, width=self.d_model, dtype=self.gamma.dtype, rank=(2, 3))
        if not self.training:
            y, cache = batch_norm(x, self.gamma.data, self.beta.data,
                                  self.running_mean, self.running_variance, self.eps)
            self.save_for_backward((batch_norm_backward, cache), y)
            return y
        count = x.size // self.d_model
        if count == 1:
            raise ValueError(f"x has shape {x.shape}, must have more than one row in training: one row has no variance")
        y, mean, variance, cache = batch_norm_training(x, self.gamma.data, self.beta.data, self.eps)
        if count > 1:
            unbiased = variance * (count / (count - 1))
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_variance += self.momentum * (unbiased - self.running_variance)
        self.save_for_backward((batch_norm_training_backward, cache), y)
        return y

    def backward(self, d_y):
        backward, cache = self.saved(d_y)
        d_x, d_gamma, d_beta = backward(d_y, cache)
        self.gamma.grad += d_gamma
        self.beta.grad += d_beta
        return d_x
