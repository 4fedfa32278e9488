"""The base class of every layer and model: torch.nn.Module, with the few things that both twins share."""

import torch
from torch.nn import ModuleList, Parameter

from numpy_impl import initialization

__all__ = ["Module", "ModuleList", "Parameter", "tensor"]


def tensor(array):
    """A torch tensor of a NumPy array's initial values, a copy; on the meta device inside `shapes_only()`."""
    if initialization.is_shapes_only():
        return torch.empty(array.shape, dtype=getattr(torch, array.dtype.name), device="meta")
    # In memory of torch's own alignment: the last bit of MKL's products depends on it, and so would that of a run.
    return torch.from_numpy(array).clone()


class Module(torch.nn.Module):
    """A layer or a model."""

    def __init__(self):
        super().__init__()
        self.path = ""    # where the module stands in its model, such as "encoder.layers.0"

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, torch.nn.Module):
            for inner, module in value.named_modules():
                module.path = f"{name}.{inner}".rstrip(".")

    def num_parameters(self):
        """How many numbers training changes; shared parameters count once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def set_dropout(self, seed, step, first_row=0):
        """Choose the dropout masks of the next forward pass.

        seed: int, of the whole training run. step: int, the optimizer step. first_row: int, where this batch
        begins in the step's whole batch (for gradient accumulation). Equal numbers give equal masks in both twins.
        """
        for module in self.modules():
            module.dropout_seed, module.dropout_step, module.dropout_first_row = seed, step, first_row
