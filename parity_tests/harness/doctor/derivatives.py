"""Measure the gradient of somebody's function: by complex step where it is analytic, else by central differences.

Runs in the process that runs the learner's code, since the function is called thousands of times.
"""

import inspect
import warnings

import numpy as np

from parity_tests.harness.doctor.jobs import as_tuple, portable
from parity_tests.harness.doctor.loading import Refused
from parity_tests.harness.doctor.shares import COMPLEX_STEP, STEP, explain
from parity_tests.harness.doctor.watching import recorded

AGREEMENT = 1e-6        # complex step and central differences must agree so well, else the function is not analytic
MOST_ELEMENTS = 4000    # of all inputs together: each costs two to four forward passes
TOLERANCE = {"complex step": 1e-9, "central differences": 1e-6}    # of the largest entry of a gradient
KINK = 1e-3             # one-sided differences that are further apart, in units of the largest gradient


def run_check(target, job, result, record_locals):
    """Forward and backward; and what the gradients really are, or what they are made of.

    job.inputs: a dict or a tuple. job.options: {"cache": True, False or None, "upstream": arrays or None, "measure":
    False where the truth is known, "explain": {"method": how it was measured, "wrong": names of inputs, "seconds": s}}.
    """
    function = _Function(target, job.inputs, job.options["cache"])
    outputs = function.outputs(function.inputs)
    upstreams = _upstreams(outputs, job.options["upstream"])
    given = [upstream.copy() for upstream in upstreams]
    with recorded(target, record_locals, result):
        result.gradients = portable(function.backward(given))
    result.outputs = portable(tuple(outputs))
    result.changed = [f"upstream {index}" for index, (now, before) in enumerate(zip(given, upstreams))
                      if now.tobytes() != before.tobytes()]
    if job.options["measure"]:
        with warnings.catch_warnings(action="ignore"):    # a complex step that is cast to real
            true, method, kinks = _true_gradients(function, upstreams)
        along, slope = _adjoint(function, upstreams)
        result.measured = {"gradients": true, "method": method, "kinks": kinks, "upstreams": upstreams,
                           "inputs": function.inputs, "along": along, "slope": slope}
    if job.options.get("explain"):
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            result.measured = explain(function, upstreams, **job.options["explain"])


class _Function:
    """The pair of functions, called with arrays by name."""

    def __init__(self, target, inputs, cache):
        self.target = target
        self.inputs, self.by_keyword = _named(target.forward, inputs)
        self.floating = [name for name, value in self.inputs.items()
                         if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
        if not self.floating:
            raise Refused("there is no floating-point array among the inputs, so there is nothing to derive by")
        count = sum(self.inputs[name].size for name in self.floating)
        if count > MOST_ELEMENTS:
            raise Refused(f"the inputs have {count} numbers, at most {MOST_ELEMENTS} can be checked one by one: make "
                          "them smaller, a few rows tell as much")
        self.inputs |= {name: self.inputs[name].astype("float64") for name in self.floating}
        self.has_cache = None
        self.has_cache = self._protocol(self.forward(self.inputs), cache)

    def forward(self, inputs):
        copies = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in inputs.items()}
        return self.target.forward(**copies) if self.by_keyword else self.target.forward(*copies.values())

    def _protocol(self, returned, wish):
        """Is the last value that forward returned a cache? From the number of arguments of backward."""
        values = as_tuple(returned)
        if wish is not None:
            return wish
        parameters = inspect.signature(self.target.backward).parameters.values()
        if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
            raise Refused("backward takes *arguments, so it is unclear whether it wants a cache: say cache=True or "
                          "False")
        count = len([parameter for parameter in parameters if parameter.default is inspect.Parameter.empty
                     and parameter.kind is not inspect.Parameter.KEYWORD_ONLY])
        with_cache, without = len(values), len(values) + len(self.inputs)
        if len(values) > 1 and count == with_cache:
            return True
        if count == without:
            return False
        forms = [f"{with_cache} (backward(d_y, cache))"] if len(values) > 1 else []
        raise Refused(f"backward takes {count} arguments, must take " + " or ".join(
            [*forms, f"{without} (backward(d_y, *inputs))"]) + ", one upstream gradient for each output")

    def outputs(self, inputs):
        """The floating outputs, as arrays."""
        values = as_tuple(self.forward(inputs))
        self.cache = values[-1] if self.has_cache else None
        values = values[:-1] if self.has_cache else values
        arrays = [np.asarray(value) for value in values]
        if any(array.dtype.kind not in "fc" for array in arrays):
            raise Refused(f"forward returned {', '.join(type(value).__name__ for value in values)}; its outputs must "
                          "be floating-point arrays" + ("" if self.has_cache else ", or the last value the cache"))
        return arrays

    def backward(self, upstreams):
        if self.has_cache:
            return self.target.backward(*upstreams, self.cache)
        return self.target.backward(*upstreams, *(value.copy() if isinstance(value, np.ndarray) else value
                                                  for value in self.inputs.values()))

    def loss(self, inputs, upstreams):
        return sum((upstream * output).sum() for upstream, output in zip(upstreams, self.outputs(inputs)))


def _named(forward, inputs):
    """({name: value}, whether they are passed by name). A tuple goes by position, under the names of the arguments."""
    if isinstance(inputs, dict):
        return dict(inputs), True
    try:
        names = list(inspect.signature(forward).parameters)
    except ValueError:    # a ufunc and the like
        names = []
    names += [f"input{index}" for index in range(len(names), len(inputs))]
    return dict(zip(names, inputs)), False


def _upstreams(outputs, given):
    """A random gradient for each output, unless some are given."""
    if given is not None:
        given = [np.asarray(array, "float64") for array in (given if isinstance(given, (list, tuple)) else [given])]
        shapes, wanted = [array.shape for array in given], [output.shape for output in outputs]
        if shapes != wanted:
            raise Refused(f"upstream has the shapes {shapes}, must have those of the outputs, {wanted}")
        return given
    rng = np.random.default_rng(7)
    return [rng.standard_normal(output.shape) for output in outputs]


def _true_gradients(function, upstreams):
    """({name: gradient}, how it was measured, {name: places of kinks})."""
    central, kinks = {}, {}
    for name in function.floating:
        central[name], kinks[name] = _differences(function, upstreams, name)
    exact = _complex_step(function, upstreams)
    if exact is not None and all(_close(exact[name], central[name], ~kinks[name]) for name in function.floating):
        return exact, "complex step", kinks
    return central, "central differences", kinks


def _close(one, other, where):
    scale = max(abs(one).max(initial=0), 1e-3)
    return bool(np.all(abs(one - other)[where] <= AGREEMENT * scale))


def _differences(function, upstreams, name):
    """(the gradient by central differences, where the function has a kink)."""
    array, middle = function.inputs[name], function.loss(function.inputs, upstreams)
    gradient, gap = np.zeros(array.shape), np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        step = STEP * max(1.0, abs(array[index]))
        sides = []
        for sign in (1, -1):
            moved = array.copy()
            moved[index] += sign * step
            sides.append(function.loss({**function.inputs, name: moved}, upstreams))
        gradient[index] = (sides[0] - sides[1]) / (2 * step)
        gap[index] = abs((sides[0] - middle) - (middle - sides[1])) / step
    return gradient, gap > KINK * max(abs(gradient).max(initial=0), 1e-3)


def _complex_step(function, upstreams):
    """{name: gradient}, or None where the function does not take complex numbers."""
    found = {}
    try:
        with np.errstate(all="ignore"):
            for name in function.floating:
                array = function.inputs[name]
                found[name] = np.zeros(array.shape)
                for index in np.ndindex(array.shape):
                    moved = array.astype("complex128")
                    moved[index] += 1j * COMPLEX_STEP
                    loss = function.loss({**function.inputs, name: moved}, upstreams)
                    found[name][index] = np.imag(loss) / COMPLEX_STEP
    except Exception:    # abs, comparisons, scipy functions and integer tricks do not take complex numbers
        return None
    return found if all(np.isfinite(array).all() for array in found.values()) else None


def _adjoint(function, upstreams):
    """<J v, u> for a random v of the inputs' shapes, with v: ({name: v}, the product)."""
    rng = np.random.default_rng(11)
    along = {name: rng.standard_normal(function.inputs[name].shape) for name in function.floating}
    length = np.sqrt(sum((array * array).sum() for array in along.values())) or 1.0
    along = {name: array / length for name, array in along.items()}

    def loss(step):
        return function.loss({**function.inputs, **{name: function.inputs[name] + step * array
                                                    for name, array in along.items()}}, upstreams)
    return along, float((loss(STEP) - loss(-STEP)) / (2 * STEP))
