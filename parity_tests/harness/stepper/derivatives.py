"""Judge the gradients of somebody's own function, which has no twin in torch: by the doctor's measured derivatives."""

import contextlib
import inspect
import io
import time
import types

import numpy as np

from parity_tests.harness.doctor.derivatives import TOLERANCE, run_check
from parity_tests.harness.doctor.jobs import Job, Result, as_tuple
from parity_tests.harness.judge import LAYER_BOUND
from parity_tests.harness.trace_function import random_upstream, start_backward

SECONDS = 10            # that all calls of the function together may take, about
CALLS = 3               # of the function, for each number among its inputs


def judge_gradients(trace, function, backward, inputs):
    """Give the gradients of the inputs in a Trace their errors; where that cannot be done, say why in its `remark`."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):    # what the function prints, it printed once already
            measured = _measure(trace, function, backward, inputs)
    except Exception as error:    # somebody's function may raise anything; the doctor refuses what it cannot measure
        trace.remark = f"the gradients are not judged: {error}"
        return
    trace.reference = f"the derivative by {measured['method']}"
    for name, index in trace.input_gradients.items():
        _judge(trace, index, measured["gradients"][name], measured["kinks"][name], TOLERANCE[measured["method"]])
    wrong = [index for index, value in enumerate(trace.values) if value.problem]
    trace.first_wrong = min(wrong, key=lambda index: trace.values[index].time, default=None)


def _measure(trace, function, backward, inputs):
    """What the doctor measures: {"gradients": {name: array}, "kinks": {name: booleans}, "method": text}."""
    if not trace.input_gradients:
        raise ValueError("backward must return an array for each floating array among the inputs")
    begun = time.perf_counter()
    result, again = [function(**_copies(inputs)) for _ in range(2)]
    seconds = (time.perf_counter() - begun) / 2 * CALLS * sum(inputs[name].size for name in trace.input_gradients)
    if seconds > SECONDS:
        raise ValueError(f"measuring them would take {seconds:.0f} seconds: make the inputs smaller")
    if not np.array_equal(as_tuple(result)[0], as_tuple(again)[0], equal_nan=True):
        raise ValueError("two calls of the function give different results")
    target, has_cache = types.SimpleNamespace(forward=function, backward=backward), None
    if inspect.ismethod(backward):    # its cache is in `self`: make it look like a pair of functions
        target = types.SimpleNamespace(forward=lambda **given: (*as_tuple(function(**given)), None),
                                       backward=lambda *given: backward(*given[:-1]))
        has_cache = True
    upstreams, _ = start_backward(function, backward, inputs, result, random_upstream)
    answer = Result()
    run_check(target, Job("", inputs, {}, [], options={"cache": has_cache, "upstream": upstreams, "measure": True}),
              answer, record_locals=False)
    return answer.measured


def _copies(inputs):
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in inputs.items()}


def _judge(trace, index, expected, kinks, tolerance):
    """Compare one gradient; at a kink any slope will do."""
    value = trace.values[index]
    claimed = trace.arrays[value.array]
    if claimed.shape != expected.shape:
        value.problem = f"shape is {list(claimed.shape)}, must be {list(expected.shape)}"
        return
    eps = float(np.finfo(claimed.dtype if claimed.dtype.kind == "f" else "float64").eps)
    value.difference = float(abs(claimed - expected)[~kinks].max(initial=0))
    value.error = value.difference / float(abs(expected).max(initial=0) or 1) / eps
    value.bound = max(tolerance / eps, LAYER_BOUND)
    if not value.error <= value.bound:
        value.problem = f"differs from {trace.reference}"
