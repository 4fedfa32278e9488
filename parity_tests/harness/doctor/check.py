"""Check any pair of NumPy functions, forward and backward, against derivatives that are measured."""

import dataclasses
import time

import numpy as np

from parity_tests.harness.doctor import isolation, reasons, structure
from parity_tests.harness.doctor.compare import Row, judge, place_of
from parity_tests.harness.doctor.derivatives import TOLERANCE
from parity_tests.harness.doctor.evidence import Evidence
from parity_tests.harness.doctor.grade import Judged, checked_file
from parity_tests.harness.doctor.jobs import Job, Request, name_gradients
from parity_tests.harness.doctor.subjects import Example
from parity_tests.harness.doctor.verdict import MOST_FINDINGS, Finding, Verdict
from parity_tests.harness.errors import UserError


@dataclasses.dataclass(frozen=True)
class Pair:
    """What is being checked, as far as the findings need to know it."""

    name: str
    arguments: tuple = ("d_y", "cache")
    is_module: bool = False

    @property
    def signature(self):
        return f"{self.name}_backward(d_y, cache)"


def check(forward, backward=None, inputs=None, *, file=None, upstream=None, tolerance=None, cache=None, time_limit=30):
    """Does `backward` return the gradients of `forward`? Returns a Verdict.

    The protocol: forward(*inputs) returns one output or several, arrays of float64. Then either
      forward returns outputs and, last, a cache: `y, cache`; backward(d_y, cache) takes an upstream gradient for each
      output, and the cache; or
      forward returns outputs alone; backward(d_y, *inputs) takes the upstream gradients and the inputs.
    Which of the two it is follows from the number of arguments of backward; `cache=True` or `False` says it. Backward
    returns a gradient for each floating input, in their order, or also None for the others, or a dict.

    inputs: a dict (by name) or a tuple of arrays; integer arrays and other values get no gradient. upstream: the
    gradients of the outputs, random if None. tolerance: relative to the largest entry of a gradient; by default 1e-9
    where the function is analytic (complex step), 1e-6 where it is not (central differences). time_limit: seconds.
    file: then forward and backward are names in that file (backward: `<forward>_backward` if None), and inputs may be
    None for what its `example_inputs()` returns. """
    begun = time.perf_counter()
    request = _request(forward, backward, inputs, file, upstream, cache, time_limit)
    outcome = isolation.run(request)
    verdict = Verdict(request.name, printed=outcome.printed, notes=list(outcome.notes))
    result = outcome.results.get(0)
    failure = outcome.failure or (result.failure if result is not None else None)
    pair = Pair(request.name)
    if failure is not None:
        verdict.failure, verdict.diagnosis = failure, structure.of_failure(pair, failure)
    else:
        _judge(pair, request, result, outcome, tolerance, verdict)
    verdict.seconds = time.perf_counter() - begun
    return verdict


def _request(forward, backward, inputs, file, upstream, cache, time_limit):
    if file is not None and not isinstance(forward, str):
        raise UserError(f"forward: was {type(forward).__name__}, must be the name of a function of the file")
    if file is None and not (callable(forward) and callable(backward)):
        raise UserError(f"check: was called with {type(forward).__name__} and {type(backward).__name__}, must be "
                        "called with two functions, forward and backward")
    if inputs is None and file is None:
        raise UserError("inputs: were not given, must be a dict or a tuple of arrays")
    if inputs is not None and not isinstance(inputs, (dict, tuple, list)):
        raise UserError(f"inputs: were {type(inputs).__name__}, must be a dict or a tuple of arrays")
    if not time_limit > 0:
        raise UserError(f"time_limit: was {time_limit!r}, must be a number of seconds above 0")
    job = Job("your inputs", inputs, {}, [], options={"cache": cache, "upstream": upstream, "measure": True})
    request = Request("check", forward if file else getattr(forward, "__name__", "forward"), [job], repeat=False,
                      time_limit=time_limit)
    if file is None:
        request.objects = {"forward": forward, "backward": backward}
    else:
        request.file, request.wanted = checked_file(file), backward
    return request


def _judge(pair, request, result, outcome, tolerance, verdict):
    """Fill in the verdict from what was measured."""
    measured = result.measured
    tolerance = tolerance or TOLERANCE[measured["method"]]
    truth = {f"d_{name}": array for name, array in measured["gradients"].items()}
    everything = tuple(f"d_{name}" for name in measured["inputs"])
    gradients, problem = name_gradients(result.gradients, tuple(truth), everything)
    example = Example("your inputs", "float64", request.jobs[0], measured["inputs"], list(result.outputs), truth,
                      everything, measured["upstreams"], sizes=_sizes(measured["inputs"]))
    judged = Judged()
    judged.about = outcome.about
    judged.count_problems = [(example, problem)] if problem else []
    rows = [_row(name, gradients[name], expected, measured["kinks"][name.removeprefix("d_")], tolerance, verdict)
            for name, expected in truth.items()] if gradients is not None else []
    judged.pairs = [(example, result, rows)]
    verdict.rows = rows
    verdict.notes.append(_how(measured["method"], tolerance))
    wrong = [place_of(row, result, outcome.about) for row in rows if row.problem]
    verdict.first_wrong = wrong[0] if wrong else None
    verdict.diagnosis = structure.findings(pair, judged)
    verdict.passed = not wrong and not verdict.diagnosis
    evidence = Evidence(pair, judged)
    if evidence.pairs:
        verdict.diagnosis += reasons.find(request, evidence, judged, measured, tolerance, verdict)
    if gradients is not None:
        verdict.diagnosis += _adjoint(measured, gradients, bool(wrong), tolerance, verdict)
    verdict.diagnosis = verdict.diagnosis[:MOST_FINDINGS]


def _row(name, actual, expected, kinks, tolerance, verdict):
    """The Row of a gradient. At a kink every slope between the two sides will do: it is named, and not called wrong."""
    row = Row("your inputs", "gradient", name, actual, expected)
    if isinstance(actual, np.ndarray) and actual.shape == expected.shape and kinks.any():
        places = [tuple(map(int, place)) for place in np.argwhere(kinks)[:3]]
        verdict.notes.append(f"{name} has a kink or a jump at {int(kinks.sum())} places, such as {places[0]}: they are "
                             "not judged")
        row.expected = np.where(kinks, np.where(np.isfinite(actual), actual, 0), expected)
    judge(row)
    if row.problem and row.problem.startswith("is off") and row.error <= tolerance:
        row.problem = None
    elif row.problem is None and row.error > tolerance:
        row.problem = f"is off by up to {row.error:.2g} of the largest entry"
    return row


def _how(method, tolerance):
    reason = "the function is analytic" if method == "complex step" else (
        "the function is not analytic, or does not take complex numbers")
    return f"measured by {method}, since {reason}; a gradient may be off by {tolerance:g} of its largest entry"


def _sizes(inputs):
    """{name: length} of the axes; lengths that are equal have one name, since one case cannot tell them apart."""
    sizes = {f"{name}.shape[{axis}]": length for name, value in inputs.items() if isinstance(value, np.ndarray)
             for axis, length in enumerate(value.shape)}
    return {name: length for index, (name, length) in enumerate(sizes.items())
            if length not in list(sizes.values())[:index]}


def _adjoint(measured, gradients, is_wrong, tolerance, verdict):
    """<J v, u> = <v, Jᵀ u>, for a random v: an independent look at all gradients at once, where none is wrong."""
    if not all(isinstance(array, np.ndarray) and array.shape == measured["along"][name.removeprefix("d_")].shape
               for name, array in gradients.items()):
        return []
    products = [measured["along"][name.removeprefix("d_")] * array for name, array in gradients.items()]
    claimed = float(sum(product.sum() for product in products))
    error = abs(measured["slope"] - claimed) / (sum(abs(product).sum() for product in products) or 1.0)
    has_kinks = any(kinks.any() for kinks in measured["kinks"].values())
    if is_wrong or has_kinks:
        return []
    if not error <= max(1e-5, tolerance):
        verdict.passed = False
        return [Finding("structure", "Each gradient looks right on its own, but along a random direction the output "
                                     f"moves by {measured['slope']:.6g}, and the gradients say {claimed:.6g}")]
    verdict.notes.append(f"adjoint identity: <J v, u> and <v, Jᵀ u> differ by {error:.1g}")
    return []
