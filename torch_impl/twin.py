"""What trainer, decoding and command line need of this twin; numpy_impl/twin.py names the same."""

from torch_impl.arrays import from_numpy, to_numpy
from torch_impl.inference.decoding import beam_search, greedy_decode
from torch_impl.layers.losses import CrossEntropyLoss
from torch_impl.models.transformer import Transformer
from torch_impl.training.gradients import clip_gradients
from torch_impl.training.optimizers import SGD, Adam, AdamW, parameter_groups
from torch_impl.training.step import accumulate_gradients, evaluate_loss

__all__ = ["from_numpy", "to_numpy", "beam_search", "greedy_decode", "CrossEntropyLoss", "Transformer",
           "clip_gradients", "SGD", "Adam", "AdamW", "parameter_groups", "accumulate_gradients", "evaluate_loss"]
