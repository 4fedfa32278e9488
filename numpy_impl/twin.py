"""What trainer, decoding and command line need of this twin; torch_impl/twin.py names the same."""

from numpy_impl.arrays import from_numpy, to_numpy
from numpy_impl.inference.decoding import beam_search, greedy_decode
from numpy_impl.layers.losses import CrossEntropyLoss
from numpy_impl.models.transformer import Transformer
from numpy_impl.training.gradients import clip_gradients
from numpy_impl.training.optimizers import SGD, Adam, AdamW, parameter_groups
from numpy_impl.training.step import accumulate_gradients, evaluate_loss

__all__ = ["from_numpy", "to_numpy", "beam_search", "greedy_decode", "CrossEntropyLoss", "Transformer",
           "clip_gradients", "SGD", "Adam", "AdamW", "parameter_groups", "accumulate_gradients", "evaluate_loss"]
