"""The Trace of any NumPy function, ours or not, and of its backward pass."""

import inspect
import traceback

import numpy as np

from parity_tests.harness.recorder import record
from parity_tests.harness.trace import Builder, shown_path

MOST_STEPS = 20_000     # a function may hold a long loop


def trace_function(function, inputs, backward=None, upstream=None):
    """The Trace of any NumPy function, and of its backward pass if there is one.

    inputs: {argument: value}. backward, upstream: see `start_backward`.
    What the functions raise ends the trace, and stands in `stopped`; the same if they run for too many steps.
    """
    parts = [inspect.unwrap(part) for part in (function, backward) if part]
    files = {part.__code__.co_filename for part in parts}
    stopped, upstreams, gradients = None, [], ()
    with record(_root_of(function), also=files, most=MOST_STEPS) as recording:
        try:
            result = function(**inputs)
            if backward:
                upstreams, rest = start_backward(function, backward, inputs, result, upstream or random_upstream)
                gradients = backward(*upstreams, *rest)
        except (Exception, SystemExit) as error:    # whatever somebody's function raises belongs into the trace
            stopped = described(error, files)
    builder = Builder(function.__name__, recording)
    if backward:
        builder.pair(*[part.__code__ for part in parts])
    trace = builder.build()
    _mark_changed(trace, builder)
    trace.input_gradients = builder.link_results(inputs, len(upstreams), gradients)
    trace.reference = "the derivative"
    trace.stopped = stopped or (f"only the first {MOST_STEPS} steps were recorded" if recording.is_full else None)
    return trace


def start_backward(function, backward, inputs, result, upstream):
    """(gradients of outputs, the other arguments): what backward is called with, after `function` has returned result.

    Either function returns (y, cache) and backward takes (d_y, cache); or it returns y, and backward takes d_y and the
    inputs; or they are methods, whose cache is in `self`. Which of them follows from the number of arguments. With
    several outputs, backward takes a gradient of each, or of the first ones. upstream(index, output): the gradient of
    the index-th output. Raises TypeError where nothing fits.
    """
    outputs = result if isinstance(result, tuple) else (result,)
    kinds = [parameter.kind for parameter in inspect.signature(backward).parameters.values()
             if parameter.default is inspect.Parameter.empty]
    if inspect.ismethod(backward):
        rest = ()
    elif len(kinds) == len(outputs) + len(inputs):
        rest = tuple(inputs.values())
    elif len(outputs) > 1:
        outputs, rest = outputs[:-1], outputs[-1:]
    else:
        raise TypeError(f"{function.__name__} must return (y, cache), since {backward.__name__} takes {len(kinds)} "
                        f"arguments; it returned {type(result).__name__}")
    floating = [output for output in outputs if getattr(output, "dtype", np.dtype(bool)).kind == "f"]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        floating = floating[:max(len(kinds) - len(rest), 1)]
    return [upstream(index, output) for index, output in enumerate(floating)], rest


def random_upstream(index, output):
    """A gradient for the index-th output, the same at each call; 1 for a single number, which is taken for the loss."""
    if output.ndim == 0:
        return np.ones_like(output)
    return np.random.default_rng([2, index]).standard_normal(output.shape).astype(output.dtype)


def _mark_changed(trace, builder):
    """Arguments that a call has changed in place: whoever made the call still needs them."""
    for call in builder.recording.calls:
        for name in call.changed:
            index = builder.value_index.get((id(call), name, 0))
            if index is not None:
                trace.values[index].problem = "the call changed this argument"
                trace.first_wrong = index if trace.first_wrong is None else trace.first_wrong


def _root_of(function):
    """The module of ours that a method belongs to; it knows the paths of the modules in it."""
    owner = getattr(function, "__self__", None)
    return owner if hasattr(owner, "named_modules") else None


def described(error, files):
    """An exception as one line, and where it came up in these files."""
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
             if frame.f_code.co_filename in files]
    where = f"{shown_path(lines[-1][0])}:{lines[-1][1]}: " if lines else ""
    return " ".join(f"{where}{type(error).__name__}: {error}".split())
