"""Run a learner's class as a layer: the same constructor, parameters by name, forward and backward.

A class derived from `numpy_impl.module.Module` has all that is needed. Any other class must have, for each parameter of
ours, an attribute of the same name: an object with `.data` and `.grad`, or an array, with its gradient beside it
(`weight` and `d_weight`).
"""

import inspect
import operator
import pickle

import numpy as np

from numpy_impl.layers.dropout import Dropout
from parity_tests.harness.doctor.jobs import portable
from parity_tests.harness.doctor.watching import bytes_of, note_changes, recorded

DROPOUT = {"seed": 7, "step": 3}    # as the harness sets it for both twins


def run_module(target, job, result, record_locals):
    """Build, load the parameters, forward and backward, twice; fills in `result`."""
    module = build(target.module, job)
    if _needs_masks(job) and not hasattr(module, "set_dropout"):
        result.skipped = "dropout: the class has no set_dropout, so its masks cannot be ours"
        return
    load(module, job.state)
    for method, *arguments in (("use_plain",), ("train", job.training)):
        getattr(module, method, lambda *arguments: None)(*arguments)
    module.training = job.training
    root = module if hasattr(module, "named_modules") else None
    inputs = pickle.loads(pickle.dumps((job.inputs, job.by_name, job.upstreams)))
    watched = [(f"argument {index + 1} of forward", value) for index, value in enumerate(inputs[0])]
    watched += [(f"upstream {index}", value) for index, value in enumerate(inputs[2])]
    before = bytes_of(watched)
    with recorded(target, record_locals, result, root):
        result.outputs, result.gradients = _pass(module, *inputs)
    note_changes(result, watched, before)
    names = job.options["parameters"]
    result.parameters = {name: gradient_of(module, name) for name in names}
    result.buffers = {name: portable(_array(get(module, name))) for name in job.state if name not in names}
    if names:
        _pass(module, *pickle.loads(pickle.dumps((job.inputs, job.by_name, job.upstreams))))
        result.parameters_twice = {name: gradient_of(module, name) for name in names}


def _pass(module, inputs, by_name, upstreams):
    if hasattr(module, "set_dropout"):
        module.set_dropout(**DROPOUT)
    outputs = portable(module.forward(*inputs, **by_name))
    return outputs, portable(module.backward(*upstreams))


def build(cls, job):
    """An instance, with the arguments of our class; `rng` and `dtype` are left out where it does not take them."""
    args, kwargs = pickle.loads(job.constructor)
    parameters = inspect.signature(cls).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    optional = {name for name in ("rng", "dtype") if name not in parameters and not takes_any}
    return cls(*args, **{name: value for name, value in kwargs.items() if name not in optional})


def _needs_masks(job):
    return job.training and job.options["dropout"]


def has_dropout(module):
    """True if a module of ours draws masks in training."""
    return any(isinstance(inner, Dropout) and inner.p > 0 for inner in module.modules())


def load(module, state):
    """Give the module our parameters and buffers, by path."""
    for path, array in state.items():
        holder = get(module, path)
        target = _array(holder)
        if not isinstance(target, np.ndarray):
            raise AttributeError(f"{path} is {type(holder).__name__}, must be an array or have .data and .grad")
        if target.shape != array.shape:
            raise ValueError(f"{path} has the shape {target.shape}, must have {array.shape}")
        if target is holder:
            _set(module, path, array.copy())
        else:
            holder.data = array.copy()
            holder.grad = np.zeros_like(array)


def gradient_of(module, path):
    """The gradient of a parameter: its `.grad`, or the attribute d_<name> beside it. A copy."""
    holder = get(module, path)
    if isinstance(holder, np.ndarray):
        owner, _, name = path.rpartition(".")
        holder = getattr(get(module, owner), f"d_{name}", None)
        return portable(holder)
    return portable(getattr(holder, "grad", None))


def get(module, path):
    """The attribute at a path such as "layers.0.weight"; a number may be an index too."""
    for part in filter(None, path.split(".")):
        if part.isdigit() and not hasattr(module, part):
            module = module[int(part)]
        elif not hasattr(module, part):
            raise AttributeError(f"{type(module).__name__} has no attribute {part}, which {path} needs: the parameters "
                                 "must have the names that ours have")
        else:
            module = operator.attrgetter(part)(module)
    return module


def _set(module, path, value):
    owner, _, name = path.rpartition(".")
    setattr(get(module, owner), name, value)


def _array(holder):
    return holder if isinstance(holder, np.ndarray) else getattr(holder, "data", None)
