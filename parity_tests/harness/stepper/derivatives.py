"""Judge the gradients of somebody's own function, which has no twin in torch: by the doctor's measured derivatives."""

import contextlib
import copy
import dataclasses
import functools
import inspect
import io
import time
import types

import numpy as np

from parity_tests.harness.doctor.derivatives import MOST_ELEMENTS, TOLERANCE, run_check
from parity_tests.harness.doctor.jobs import Job, Result, as_tuple
from parity_tests.harness.judge import LAYER_BOUND
from parity_tests.harness.trace_function import random_upstream, start_backward

SECONDS = 10            # that all calls of the function together may take, about
CALLS = 3               # of the function, for each number among its inputs
# What a module may call the gradient of its parameter {}.
GRADIENTS = ("{}.grad", "d_{}", "d{}", "grad_{}", "{}_grad")


def judge_gradients(trace, function, backward, inputs):
    """Give the gradients of the inputs in a Trace their errors, and where a class has parameters those of them too.

    Where that cannot be done, say why in the `remark` of the Trace.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):    # what the function prints, it printed once already
            measured = _measure(trace, function, backward, inputs)
    except Exception as error:    # somebody's function may raise anything; the doctor refuses what it cannot measure
        trace.remark = f"the gradients are not judged: {error}"
        return
    trace.reference = f"the derivative by {measured['method']}"
    for name, (index, claimed) in measured["claimed"].items():
        _judge(trace, index, claimed, measured["gradients"][name], measured["kinks"][name],
               TOLERANCE[measured["method"]])
    wrong = [index for index, value in enumerate(trace.values) if value.problem]
    trace.first_wrong = min(wrong, key=lambda index: trace.values[index].time, default=None)


def _measure(trace, function, backward, inputs):
    """What the doctor measures: {"gradients": {name: array}, "kinks": {name: booleans}, "method": text}.

    "claimed": {name: (index of the Value, the gradient that it claims)}.
    """
    claimed = {name: (index, trace.arrays[trace.values[index].array]) for name, index in trace.input_gradients.items()}
    target, has_cache, parameters = types.SimpleNamespace(forward=function, backward=backward), None, {}
    if inspect.ismethod(backward):    # its cache is in `self`: make it look like a pair of functions
        owner = copy.deepcopy(backward.__self__)    # what is measured shall leave no trace in it
        backward = getattr(owner, backward.__name__)
        if inspect.ismethod(function) and function.__self__ is target.backward.__self__:
            function = getattr(owner, function.__name__)
            parameters = parameters_of(trace, owner)
        target = types.SimpleNamespace(
            forward=lambda **given: (*as_tuple(function(**_given_to(owner, parameters, given))), None),
            backward=lambda *given: backward(*given[:-1]))
        has_cache = True
    if not claimed and not parameters:
        raise ValueError("backward must return an array for each floating array among the inputs")
    begun = time.perf_counter()
    result, again = [function(**_copies(inputs)) for _ in range(2)]
    seconds = (time.perf_counter() - begun) / 2 * CALLS
    sizes = [sum(inputs[name].size for name in claimed),
             sum(parameter.array.size for parameter in parameters.values())]
    if claimed and parameters and (sum(sizes) > MOST_ELEMENTS or seconds * sum(sizes) > SECONDS >= seconds * sizes[0]):
        trace.remark = f"the gradients of {', '.join(parameters)} are not judged: they have too many numbers"
        parameters.clear()
        sizes[1] = 0
    if seconds * sum(sizes) > SECONDS:
        about = max(1, round(seconds * sum(sizes)))
        raise ValueError(f"measuring them would take about {about} s: make the inputs smaller")
    if not np.array_equal(as_tuple(result)[0], as_tuple(again)[0], equal_nan=True):
        raise ValueError("two calls of the function give different results")
    upstreams, _ = start_backward(function, backward, inputs, result, random_upstream)
    if parameters:
        claimed |= _claims_of(parameters, lambda: (function(**_copies(inputs)), backward(*upstreams)))
    answer = Result()
    arrays = {name: parameter.array for name, parameter in parameters.items()}
    run_check(target, Job("", inputs | arrays, {}, [],
                          options={"cache": has_cache, "upstream": upstreams, "measure": True}),
              answer, record_locals=False)
    return {**answer.measured, "claimed": claimed}


# The parameters of a class


@dataclasses.dataclass
class Parameter:
    """An array that a module keeps. owner: the module. place: (object, attribute) where it stands. array: a copy of it.

    gradient: "d_weight" or "weight.grad", where the module keeps its gradient. value: the index of the Value of that.
    """

    owner: object
    place: tuple
    array: np.ndarray
    gradient: str
    value: int


def parameters_of(trace, owner):
    """{"self.weight": Parameter} of the arrays in a module whose gradients the backward pass has assigned."""
    assigned = {value.name: index for index, value in enumerate(trace.values)
                if trace.calls[value.call].reverses is not None and trace.calls[value.call].parent is None}
    found = {}
    for name, part in getattr(owner, "__dict__", {}).items():
        place = (part, "data") if isinstance(getattr(part, "grad", None), np.ndarray) else (owner, name)
        array = getattr(place[0], place[1], None)
        gradients = [gradient.format(name) for gradient in GRADIENTS if f"self.{gradient.format(name)}" in assigned]
        if gradients and isinstance(array, np.ndarray) and array.dtype.kind == "f":
            value = assigned[f"self.{gradients[0]}"]
            found[f"self.{name}"] = Parameter(owner, place, array.copy(), gradients[0], value)
    return found


def _given_to(owner, parameters, given):
    """Put what is given for the parameters into the module. Returns what is left: the arguments."""
    for name, parameter in parameters.items():
        target, attribute = parameter.place
        setattr(target, attribute, given[name] if name in given else parameter.array)
    return {name: value for name, value in given.items() if name not in parameters}


def _claims_of(parameters, run):
    """{name: (index, gradient)} of what one pass adds to a gradient; or sets, where a second pass leaves it as it is.
    """
    def gradients():
        run()
        return {name: np.array(functools.reduce(getattr, parameter.gradient.split("."), parameter.owner))
                for name, parameter in parameters.items()}

    first, second = gradients(), gradients()
    return {name: (parameter.value, first[name] if np.array_equal(first[name], second[name], equal_nan=True)
                   else second[name] - first[name]) for name, parameter in parameters.items()}


def _copies(inputs):
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in inputs.items()}


def _judge(trace, index, claimed, expected, kinks, tolerance):
    """Compare one gradient; at a kink any slope will do."""
    value = trace.values[index]
    if claimed.shape != expected.shape:
        value.problem = f"shape is {list(claimed.shape)}, must be {list(expected.shape)}"
        return
    eps = float(np.finfo(claimed.dtype if claimed.dtype.kind == "f" else "float64").eps)
    value.difference = float(abs(claimed - expected)[~kinks].max(initial=0))
    value.error = value.difference / float(abs(expected).max(initial=0) or 1) / eps
    value.bound = max(tolerance / eps, LAYER_BOUND)
    if not value.error <= value.bound:
        value.problem = f"differs from {trace.reference}"
