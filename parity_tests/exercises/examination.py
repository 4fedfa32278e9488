"""Run a layer's cases with somebody's file in the place of the layer, and say which go wrong, and where first.

Runs in a process of its own: `python -m parity_tests.exercises.examination REQUEST ANSWERS`.
"""

import contextlib
import dataclasses
import importlib
import linecache
import sys
import types
import warnings
from pathlib import Path

import numpy as np

from parity_tests.harness.doctor import worker
from parity_tests.harness.doctor.failures import describe
from parity_tests.harness.judge import first_wrong

PROJECT = ("numpy_impl.", "torch_impl.", "parity_tests.")
OURS = "parity_tests.harness.doctor."    # at work meanwhile: it must be able to tell that time is up


@dataclasses.dataclass
class Wrong:
    """A run that goes wrong. case, form: which. problem: what is wrong, in words.

    function, name: where it shows first, and which array that is ("" where it is none). actual, expected: the array,
    and what it must be. line: where the file raised an exception. expected_to: the planted bug alone makes it go wrong.
    """

    case: str
    form: str
    problem: str
    function: str = ""
    name: str = ""
    actual: object = None
    expected: object = None
    line: int | None = None
    expected_to: bool = True


def examine(path, module, case_names, planted):
    """(number of runs, [Wrong]) of the cases, in all their forms, with the file at `path` in the place of `module`.

    planted: the text of the layer with nothing but the planted bug, to tell what else was changed.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with standing_in(module, text, path) as cases:
        runs = [(name, form) for name in case_names for form in _forms(cases[name])]
        wrong = [found for name, form in runs if (found := _first_wrong(cases[name], form, path))]
    if wrong:
        with standing_in(module, planted, f"{path} (planted)") as cases:
            for found in wrong:
                found.expected_to = _first_wrong(cases[found.case], found.form, path) is not None
    return len(runs), wrong


@contextlib.contextmanager
def standing_in(module, text, filename):
    """Inside, the module of this name is `text`, for whoever imports it. Yields all cases, by name.

    The project is imported anew, with that text among its files; afterwards everything is as it was.
    """
    before = _take_away()
    linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    try:
        package, _, name = module.rpartition(".")
        stand_in = types.ModuleType(module)
        stand_in.__file__, stand_in.__package__ = filename, package
        sys.modules[module] = stand_in
        setattr(importlib.import_module(package), name, stand_in)
        exec(compile(text, filename, "exec"), vars(stand_in))
        vars(importlib.import_module("parity_tests.harness.recorder"))["WATCHED"] += (filename,)
        yield importlib.import_module("parity_tests.harness.catalog").all_cases()
    finally:
        del linecache.cache[filename]
        _take_away()
        sys.modules.update(before)


def _take_away():
    """Remove the modules of this project from those that are imported; returns them."""
    taken = {name: module for name, module in sys.modules.items()
             if f"{name}.".startswith(PROJECT) and not f"{name}.".startswith(OURS)}
    for name in taken:
        del sys.modules[name]
    return taken


def _forms(case):
    """The forms of a case; where it cannot be built, one is enough to tell why."""
    try:
        return case.forms()
    except Exception:
        return ("plain",)


def _first_wrong(case, form, path):
    """The Wrong of this run, or None."""
    try:
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            if form == "contract":
                case.check(form)
                return None
            _, rows = case.compared(form)
    except AssertionError as error:
        return Wrong(case.name, form, str(error).removeprefix(f"{case}: "), _built_name(case))
    except Exception as error:
        failure = describe(error, {path})
        return Wrong(case.name, form, failure.message, failure.function, line=failure.line)
    row = first_wrong([row for row in rows if row.problem and not _is_about_names(row)])
    if row is None:
        return None
    name = getattr(row.key, "name", f"{row.kind} {row.key}")
    return Wrong(case.name, form, row.problem, row.where or _built_name(case), name, row.actual, row.expected)


def _is_about_names(row):
    """True where a local is missing, or has another name: whoever mends a layer may call things as they like."""
    return row.kind in ("local", "call", "omission") and not row.problem.endswith("changed this argument")


def _built_name(case):
    """The function or class that a case is about."""
    built = case.numpy_twin()
    return getattr(built, "__name__", type(built).__name__)


def serve(request, send):
    """Do what a Request of a hunt asks for, and send what was found. Never raises."""
    path = str(Path(request.file).resolve())
    send(("started", None))
    try:
        send(("result", (0, examine(path, **request.options))))
    except BaseException as error:    # SystemExit too: this is where it ends
        send(("failed", describe(error, {path})))
    send(("done", None))


if __name__ == "__main__":
    from parity_tests.exercises import examination    # by its name, so that what is sent can be unpickled

    worker.main(examination.serve)
