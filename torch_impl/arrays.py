"""The way between this twin's arrays and NumPy's, for code that serves both twins."""

import torch


def from_numpy(array):
    """The array as this twin computes with it; it shares its memory."""
    return torch.from_numpy(array)


def to_numpy(array):
    """The values of one of this twin's arrays or parameters as a NumPy array, not a copy."""
    return array.detach().numpy()
