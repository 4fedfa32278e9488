"""Run one twin of a case, forward and backward, and keep all that can be compared: a Run."""

import dataclasses
import importlib
import inspect

import numpy as np
import torch

from parity_tests.harness.recorder import Recording, record


class Twin:
    """One of the two packages; its files are loaded when first asked for, as in `twin.layers.linear.Linear`."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, name):
        module = importlib.import_module(f"{self.name}.{name}")
        return Twin(module.__name__) if hasattr(module, "__path__") else module


DROPOUT = {"seed": 7, "step": 3}
NUMPY, TORCH = Twin("numpy_impl"), Twin("torch_impl")


@dataclasses.dataclass
class Run:
    """What a run leaves behind, as arrays by name (outputs by index). A gradient that torch does not have is None."""

    recording: Recording
    outputs: dict
    input_gradients: dict
    parameter_gradients: dict
    buffers: dict
    changed: list       # the inputs and parameters whose bytes the run has changed


def run_numpy(case, built, inputs, upstream, lean):
    """Forward and backward of the NumPy twin.

    built: the module or function. inputs: {argument: value}. upstream: (index, output) -> gradient, or None where the
    output has none. lean: the lean forms where they exist. An exception takes along what was recorded until then: its
    `recording`.
    """
    root = built if is_module(built) else None
    forward, backward = numpy_forms(built, lean)
    arrays = {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}
    if root is not None:
        arrays |= {path: parameter.data for path, parameter in root.named_parameters()}
    before = {name: array.tobytes() for name, array in arrays.items()}
    with record(root) as recording:
        try:
            outputs, cache = forward(inputs)
            upstreams = upstream_gradients(upstream, outputs)
            gradients = backward(list(upstreams.values()), cache) if upstreams else ()
        except Exception as error:
            setattr(error, "recording", recording)
            raise
    return Run(
        recording, dict(enumerate(outputs)),
        input_gradients=name_gradients(case, inputs, gradients) if upstreams else {},
        parameter_gradients={path: p.grad for path, p in root.named_parameters()} if is_module(built) else {},
        buffers=buffers_of(root) if is_module(built) else {},
        changed=[name for name, array in arrays.items() if array.tobytes() != before[name]])


def run_torch(case, built, inputs, upstream):
    """Forward and backward of the torch twin, as `run_numpy`."""
    root = built if is_module(built) else None
    tensors = {name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
               for name, value in inputs.items()}
    for name in differentiable_inputs(case, inputs):
        tensors[name].requires_grad_()
    if root is not None:
        root.set_dropout(**DROPOUT)
    positional, by_name = bind(root.forward if root is not None else built, tensors)
    with record(root) as recording:
        outputs = as_tuple(built(*positional, **by_name))
    arrays = [as_array(output) for output in outputs]
    upstreams = upstream_gradients(upstream, arrays)
    reached = [index for index in upstreams if outputs[index].requires_grad]
    torch.autograd.backward([outputs[index] for index in reached],
                            [torch.as_tensor(upstreams[index]) for index in reached])
    names = differentiable_inputs(case, inputs) if upstreams else []
    return Run(
        recording, dict(enumerate(arrays)),
        input_gradients={name: as_array(tensors[name].grad) for name in names},
        parameter_gradients={path: as_array(p.grad) for path, p in root.named_parameters()} if is_module(built) else {},
        buffers=buffers_of(root) if is_module(built) else {},
        changed=[])


def numpy_forms(built, lean):
    """The forward and backward of a NumPy module or primitive, as two functions of one shape:

    forward(inputs) -> (outputs, cache) and backward(upstream gradients, cache) -> gradients.
    """
    if is_module(built):
        built.use_plain(not lean)

        def forward_of_module(inputs):
            built.set_dropout(**DROPOUT)    # in each pass the same masks; by itself it would move on to the next
            return as_tuple(_call(built.forward, inputs)), None

        return forward_of_module, lambda upstreams, _: as_tuple(built.backward(*upstreams))
    forward, backward = function_forms(built, lean)
    if backward is None:    # a function without gradient, and so without cache
        return lambda inputs: (as_tuple(_call(forward, inputs)), None), None

    def forward_and_cache(inputs):
        *outputs, cache = _call(forward, inputs)
        return tuple(outputs), cache

    return forward_and_cache, lambda upstreams, cache: as_tuple(backward(*upstreams, cache))


def function_forms(function, lean):
    """A NumPy primitive and its backward (None if it has none); the lean ones where `lean`, as far as they exist."""
    namespace, name = function.__globals__, function.__name__
    plain_backward = namespace.get(f"{name}_backward")
    if not lean:
        return function, plain_backward
    return namespace.get(f"{name}_lean", function), namespace.get(f"{name}_lean_backward", plain_backward)


def has_lean_form(function):
    """True if there is a `<function>_lean` or a `<function>_lean_backward`."""
    return function_forms(function, lean=True) != function_forms(function, lean=False)


def upstream_gradients(upstream, outputs):
    """{index: gradient} of the outputs that have one."""
    gradients = {index: upstream(index, output) for index, output in enumerate(outputs)}
    return {index: gradient for index, gradient in gradients.items() if gradient is not None}


def name_gradients(case, inputs, gradients):
    """{argument: gradient} of what a backward pass returns: in the order of the arguments, None where there is none."""
    names = differentiable_inputs(case, inputs)
    gradients = [gradient for gradient in gradients if gradient is not None]
    assert len(names) == len(gradients), f"backward returned {len(gradients)} gradients, must be those of {names}"
    return dict(zip(names, gradients))


def differentiable_inputs(case, inputs):
    """The floating arrays among the inputs, except those that the case calls frozen."""
    return [name for name, value in inputs.items() if is_floating(value) and name not in case.frozen]


def buffers_of(module):
    """{path: array} of what is in the state of either twin's module but is no parameter."""
    parameters = {as_array(parameter.data).__array_interface__["data"] for parameter in module.parameters()}
    state = {path: as_array(value) for path, value in module.state_dict().items()}
    return {path: array for path, array in state.items() if array.__array_interface__["data"] not in parameters}


def is_module(built):
    """True for a module, False for a plain function."""
    return not inspect.isfunction(built)


def is_floating(value):
    """True for a floating NumPy array or scalar."""
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def as_array(value):
    """A tensor as an array that shares its memory; anything else as it is."""
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def copied(values):
    """A dict with copies of its arrays; the rest as it is."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def to_precision(values, dtype):
    """The floating arrays of a dict in this dtype; the rest as it is."""
    return {name: value.astype(dtype) if is_floating(value) else value for name, value in values.items()}


def bind(function, inputs):
    """Positional and keyword arguments of a call: keyword-only ones by name, the others in order."""
    parameters = inspect.signature(function).parameters
    keyword_only = [name for name, parameter in parameters.items() if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    by_name = [name for name in inputs if name in keyword_only]
    return [value for name, value in inputs.items() if name not in by_name], {name: inputs[name] for name in by_name}


def _call(function, inputs):
    positional, by_name = bind(function, inputs)
    return function(*positional, **by_name)
