"""The global norm of the gradients, and clipping by it."""

import math

import numpy as np


def global_norm(named_parameters):
    """The root of the sum of squares of all gradients together, as a float.

    named_parameters: pairs (path, Parameter), as `model.named_parameters()` yields them.
    """
    squared_norms = []
    for _, parameter in named_parameters:
        with np.errstate(over="ignore"):                         # clip_gradients says where the norm is infinite
            squared = parameter.grad * parameter.grad
        squared_norms.append(float(squared.sum()))
    return math.sqrt(sum(squared_norms))                         # eq: gradients-global-norm


def clip_gradients(named_parameters, max_norm):
    """Scale all gradients by one factor, in place, so that their global norm is at most `max_norm`.

    named_parameters: pairs (path, Parameter), as `model.named_parameters()` yields them. max_norm: above 0; infinity
    never scales. Returns the norm as it was before, a float.
    Raises ValueError for another max_norm, and FloatingPointError, which names a parameter, if the norm is not finite;
    then no gradient is changed.
    Source: Pascanu, Mikolov and Bengio (2013), "On the difficulty of training recurrent neural networks", algorithm 1.
    Departures: 1e-6 is added to the norm, as torch has it, so the norm ends a little below max_norm.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm is {max_norm!r}, must be above 0")
    named_parameters = list(named_parameters)
    norm = global_norm(named_parameters)
    if not math.isfinite(norm):
        raise FloatingPointError(f"the global norm of the gradients is {norm}: {_culprit(named_parameters)}")
    scale = max_norm / (norm + 1e-6)                             # eq: gradients-clip
    if scale < 1:
        for _, parameter in named_parameters:
            parameter.grad *= scale
    return norm


def _culprit(named_parameters):
    """Says which parameter makes the norm infinite or not a number."""
    for path, parameter in named_parameters:
        if not np.isfinite(parameter.grad).all():
            return f"the gradient of {path!r} holds {np.isnan(parameter.grad).sum()} NaN " \
                   f"and {np.isinf(parameter.grad).sum()} infinite values"
    path, parameter = max(named_parameters, key=lambda pair: np.abs(pair[1].grad).max(initial=0))
    return f"all are finite, but too large to be squared; the largest, {np.abs(parameter.grad).max()}, is in {path!r}"
