"""Which small edit of the learner's code would make it right? That tells the line, and what kind of mistake it is.

It runs beside the learner's code, after the jobs: a few thousand edits, each tried on one job first.
"""

import ast
import copy
import inspect
import linecache
import os
import signal
import sys
import time
import types
import warnings

import numpy as np

from parity_tests.harness.doctor.compare import agrees
from parity_tests.harness.doctor.edits import DOCTOR, edits
from parity_tests.harness.doctor.jobs import Result, as_tuple, name_gradients

SECONDS_PER_RUN = 0.25
MOST_REPAIRS = 40


class _TooSlow(BaseException):
    pass


def search(request, target, run):
    """[(Edit, names that it makes right)], for `request.search`; what has been found when time is up."""
    look_up, found, plainest = request.search, [], 9
    out_of_time = _clock(look_up.seconds)
    with _quiet(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for function in editable(target):
            node = _node_of(function)
            if node is None:
                continue
            for edit in edits(node, look_up.factors[0], look_up.terms[0], look_up.arrays[0]):
                if out_of_time() or len(found) >= MOST_REPAIRS:
                    return found
                if edit.rank > plainest:    # a plainer one makes all right
                    continue
                names = _tried(function, node, request, target, run)
                if names:
                    found.append((tuple(edit), names))
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


def _node_of(function):
    """The syntax tree of a function; None where there is no source."""
    code = function.__code__
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                node.decorator_list = []
                return node
    return None


def _compiled(function, node):
    """The code object of the edited function."""
    body = [node]
    if "." in function.__qualname__ and "<locals>" not in function.__qualname__:    # super() needs its class
        body = [ast.ClassDef(function.__qualname__.rpartition(".")[0], [], [], body, [], lineno=1, col_offset=0)]
    code = compile(ast.fix_missing_locations(ast.Module(body, [])), function.__code__.co_filename, "exec")
    while code.co_name != function.__code__.co_name:
        code = next(part for part in code.co_consts if isinstance(part, types.CodeType)
                    and part.co_name in (function.__code__.co_name, body[0].name))
    return code


def _tried(function, node, request, target, run):
    """The wrong gradients that the function, as its tree stands now, gives rightly; none if it spoils a right one."""
    original = function.__code__
    try:
        function.__code__ = _compiled(function, node)
    except (SyntaxError, ValueError, TypeError, StopIteration):
        return ()
    names = set(request.search.names)
    try:
        for index, truth in enumerate(request.search.truths):
            function.__globals__[DOCTOR] = {**request.search.factors[index], **request.search.terms[index],
                                            **request.search.arrays[index]}
            names &= _right(request, target, run, index, truth)
            if not names & request.search.wrong or names | request.search.wrong != set(request.search.names):
                return ()
        return tuple(name for name in request.search.names if name in names & request.search.wrong)
    except (_TooSlow, KeyboardInterrupt):
        return ()
    finally:
        function.__code__ = original
        function.__globals__.pop(DOCTOR, None)


def _right(request, target, run, index, truth):
    """The names of what is right in one job."""
    result = Result()
    try:
        with _in_time():
            run(target, copy.copy(request.jobs[index]), result, False)
    except Exception:
        return set()
    look_up = request.search
    gradients, problem = name_gradients(result.gradients, look_up.returned[index], look_up.everything[index])
    if problem or result.changed:
        return set()
    given = dict(gradients)
    given |= {f"d_{path}": gradient for path, gradient in result.parameters.items()}
    if result.outputs is not None:
        outputs = as_tuple(result.outputs)
        given |= dict(zip([name for name in truth if name == "y" or name.startswith("y[")], outputs))
    return {name for name, expected in truth.items() if name not in given and name.startswith("y")
            or isinstance(given.get(name), np.ndarray) and agrees(given[name], expected, look_up.tolerance)}


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
