"""Which small edit of the learner's code would make it right? That tells the line, and what kind of mistake it is.

It runs beside the learner's code, after the jobs: a few thousand edits, each tried on one job first.
"""

import ast
import copy
import inspect
import os
import signal
import sys
import time
import warnings

import numpy as np

from parity_tests.harness.doctor.compare import agrees
from parity_tests.harness.doctor.edits import CONSTANT, LOOKED_UP, edits
from parity_tests.harness.doctor.jobs import Result, as_tuple, name_gradients
from parity_tests.harness.doctor.shares import after
from parity_tests.harness.doctor.source import DOCTOR, edited, node_of

SECONDS_PER_RUN = 0.25
MOST_REPAIRS = 40
# Numbers that formulas have.
CONSTANTS = {
    "1 / sqrt(2 pi)": 1 / np.sqrt(2 * np.pi), "sqrt(2 pi)": np.sqrt(2 * np.pi), "sqrt(2 / pi)": np.sqrt(2 / np.pi),
    "2 / sqrt(pi)": 2 / np.sqrt(np.pi), "1 / sqrt(pi)": 1 / np.sqrt(np.pi), "sqrt(2)": np.sqrt(2),
    "1 / sqrt(2)": np.sqrt(0.5), "pi": np.pi, "ln(2)": np.log(2), "1 / ln(2)": 1 / np.log(2),
}


class _TooSlow(BaseException):
    pass


def search(request, target, run):
    """[(Edit, names that it makes right)], for `request.search`; what has been found when time is up."""
    look_up, found, plainest = request.search, [], 9
    out_of_time = _clock(look_up.seconds)
    with _quiet(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for function in editable(target):
            node = node_of(function)
            if node is None:
                continue
            for edit in edits(node, look_up.factors[0], look_up.terms[0], look_up.arrays[0],
                              look_up.values[0]):
                if out_of_time() or len(found) >= MOST_REPAIRS:
                    return found
                if edit.rank > plainest:    # a plainer one makes all right
                    continue
                if look_up.same_sizes and edit.kind == "factor" and edit.detail in look_up.factors[0]:
                    edit = edit._replace(detail=f"{look_up.factors[0][edit.detail]:.6g}, perhaps {edit.detail}")
                names, factor = _tried(function, node, request, target, run, edit.kind == "constant")
                if names:
                    found.append((tuple(edit), names) if factor is None else (_with_factor(edit, factor), names))
                if set(names) == look_up.wrong:
                    plainest = min(plainest, edit.rank)
    return found


def _clock(seconds):
    """A function that tells when this process has worked so long; three times as long on a busy machine."""
    worked, passed = time.process_time() + seconds, time.monotonic() + 3 * seconds
    return lambda: time.process_time() > worked or time.monotonic() > passed


class _quiet:
    """What edited code prints is nobody's business."""

    def __enter__(self):
        self.kept = sys.stdout, sys.stderr
        self.null = open(os.devnull, "w", encoding="utf-8")
        sys.stdout = sys.stderr = self.null

    def __exit__(self, *error):
        sys.stdout, sys.stderr = self.kept
        self.null.close()


def editable(target):
    """The functions that may hold the mistake: backward, the helpers of its file, the forward pass, the methods."""
    found = []
    for thing in (target.backward, target.module, target.forward):
        if inspect.isclass(thing):
            found += [value for value in vars(thing).values() if inspect.isfunction(value)]
        elif inspect.isfunction(thing):
            helpers = [value for value in thing.__globals__.values() if inspect.isfunction(value)
                       and value.__code__.co_filename == thing.__code__.co_filename]
            found += [thing, *(helper for helper in helpers if helper.__name__ in thing.__code__.co_names)]
    if target.module:
        found.sort(key=lambda function: function.__name__ != "backward")
    return list(dict.fromkeys(found))


def _tried(function, node, request, target, run, is_constant):
    """(the wrong gradients that the function, as its tree stands now, gives rightly; the text of a factor or None).

    No names if it spoils a right one.
    """
    look_up, names, factors = request.search, set(request.search.names), []
    table = {}
    try:
        with edited(function, node, table):
            for index, truth in enumerate(look_up.truths):
                table |= {**look_up.factors[index], **look_up.terms[index], **look_up.arrays[index],
                          **look_up.values[index], "np.add.at along an axis": _add_along_axis}
                if is_constant:
                    factor = _fitting_factor(request, target, run, index, table)
                    if factor is None:
                        return (), None
                    factors.append(factor)
                    table[CONSTANT] = factor
                names &= _right(request, target, run, index, truth)
                if not names & look_up.wrong or names | look_up.wrong != set(look_up.names):
                    return (), None
        text = _name_of_factor(look_up, factors) if is_constant else None
        right = tuple(name for name in look_up.names if name in names & look_up.wrong)
        return ((), None) if is_constant and text is None else (right, text)
    except (SyntaxError, ValueError, TypeError, _TooSlow, KeyboardInterrupt):
        return (), None


def _right(request, target, run, index, truth):
    """The names of what is right in one job."""
    given = _given(request, target, run, index)
    return {name for name, expected in truth.items() if given and name not in given and name.startswith("y")
            or isinstance(given.get(name), np.ndarray) and agrees(given[name], expected, request.search.tolerance)}


def _given(request, target, run, index):
    """{name: what the code gives in one job}; {} if it does not run, or changes what it is given."""
    result, look_up = Result(), request.search
    try:
        with _in_time():
            run(target, copy.copy(request.jobs[index]), result, False)
    except Exception:
        return {}
    gradients, problem = name_gradients(result.gradients, look_up.returned[index], look_up.everything[index])
    if problem or result.changed:
        return {}
    given = {**gradients, **{f"d_{path}": gradient for path, gradient in result.parameters.items()}}
    if result.outputs is not None:
        outputs = as_tuple(result.outputs)
        given |= dict(zip([name for name in look_up.truths[index] if name == "y" or name.startswith("y[")], outputs))
    return given


def _add_along_axis(array, indices, values, axis):
    """np.put_along_axis, but what goes to the same place piles up."""
    values = np.broadcast_to(values, indices.shape)
    for index in np.ndindex(indices.shape):
        place = list(index)
        place[axis] = indices[index]
        array[tuple(place)] += values[index]


# A number that is missing somewhere: the result is linear in it, so two runs tell what it must be

def _fitting_factor(request, target, run, index, table):
    """The number that makes a wrong gradient right where the edited code looks up CONSTANT; None if there is none."""
    table[CONSTANT] = 1.0
    one = _given(request, target, run, index)
    table[CONSTANT] = 2.0
    two = _given(request, target, run, index)
    for name in request.search.wrong:
        truth = request.search.truths[index][name]
        if not all(isinstance(given.get(name), np.ndarray) and given[name].shape == truth.shape
                   and given[name].dtype.kind == "f" for given in (one, two)):
            continue
        slope = two[name] - one[name]
        norm = float((slope * slope).sum())
        factor = 1 + float(((truth - one[name]) * slope).sum()) / norm if norm else np.nan
        if np.isfinite(factor) and agrees(one[name] + (factor - 1) * slope, truth, 1e-8):
            return factor
    return None


def _name_of_factor(look_up, factors):
    """What the factor is called that each job needs; a plain number if all need the same; None if it has no name."""
    fitting = [text for text in look_up.factors[0] if all(
        np.isclose(table[text], factor, rtol=1e-8) for table, factor in zip(look_up.factors, factors))]
    fitting += [f"-({text})" if " " in text else f"-{text}" for text in look_up.factors[0] if all(
        np.isclose(-table[text], factor, rtol=1e-8) for table, factor in zip(look_up.factors, factors))]
    named = [text for text in fitting if any(letter.isalpha() for letter in text)]
    if named and look_up.same_sizes:
        return f"{factors[0]:.6g}, perhaps {' or '.join(named[:2])}"
    if fitting:
        return fitting[0]
    if not np.allclose(factors, factors[0], rtol=1e-7):
        return None
    if abs(factors[0]) < 1e-9:
        return "0"
    return next((text for text, value in CONSTANTS.items() if np.isclose(value, factors[0], rtol=1e-7)),
                f"{factors[0]:.6g}")


def _with_factor(edit, factor):
    """The Edit, now that the factor is known."""
    if factor == "0":
        return (2, "too much", edit.line, edit.detail, edit.before, edit.after.replace(LOOKED_UP, "0"))
    number = factor.partition(",")[0]
    return (edit.rank, "factor", edit.line, factor, edit.before, edit.after.replace(LOOKED_UP, f"({number})"))


def refuted(request, target, run):
    """The claims (line, name) that do not hold: the local has that name, and is another thing."""
    found, claims = [], request.claims
    with _quiet(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for function in editable(target):
            node = node_of(function)
            for line, name, array in claims.locals if node else ():
                changed = copy.deepcopy(node)
                after(changed, line, name, f"{name} = {DOCTOR}['claim']")
                if ast.dump(changed) != ast.dump(node) and _spoils(function, changed, request, target, run, array):
                    found.append((line, name))
    return found


def _spoils(function, node, request, target, run, array):
    """Does something right become wrong?"""
    claims, result = request.claims, Result()
    try:
        with edited(function, node, {"claim": array}), _in_time():
            run(target, copy.copy(request.jobs[claims.job]), result, False)
        gradients, problem = name_gradients(result.gradients, claims.returned, claims.everything)
    except (Exception, _TooSlow):
        return True
    given = {**(gradients or {}), **{f"d_{path}": gradient for path, gradient in result.parameters.items()}}
    return bool(problem) or not all(isinstance(given.get(name), np.ndarray) and agrees(given[name], truth, 1e-6)
                                    for name, truth in claims.right.items())


class _in_time:
    """Raise _TooSlow if the block takes long: an edit may make a loop endless."""

    def __enter__(self):
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGVTALRM, self._too_slow)
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_PER_RUN)

    def __exit__(self, *error):
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    @staticmethod
    def _too_slow(number, frame):
        raise _TooSlow
