"""What a process of the scoreboard does: plant one bug, and let the tests and the bug's own case look for it.

A server process imports this module once (it takes seconds), and is then copied for each bug.
"""

import contextlib
import os
import sys

import pytest
import torch

from parity_tests.harness.catalog import all_cases
from parity_tests.harness.judge import first_wrong
from parity_tests.harness.small import ROOT

MOST_FAILURES = 10    # then a bug is dead enough

torch.set_num_threads(1)
all_cases()


def serve(connection, bug, tests, look_for_tensor):
    """Send the dictionary that `try_bug` returns, or one with the error that it raises, and end."""
    if hasattr(os, "setsid"):
        os.setsid()    # so that the scoreboard can end this process together with those that the tests start
    os.chdir(ROOT)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    try:
        outcome = try_bug(bug, tests, look_for_tensor)
    except Exception as error:
        outcome = {"failed": [f"{type(error).__name__}: {error}"], "first": None}
    connection.send(outcome)


def try_bug(bug, tests, look_for_tensor):
    """Run tests with the bug planted, or without any if it is None.

    tests: files or node ids. Returns {"failed": node ids of the tests that fail, at most MOST_FAILURES, in the order of
    the run, "first": where it first shows, see `first_tensor`, or None}.
    """
    with bug.planted() if bug else contextlib.nullcontext():
        failed = failing_tests(tests)
        return {"failed": failed, "first": first_tensor(bug) if look_for_tensor and bug.case else None}


def failing_tests(tests):
    """The node ids of the tests that fail. Raises RuntimeError if pytest could not run them."""
    os.environ.pop("PYTEST_ADDOPTS", None)
    failures = _Failures()
    status = pytest.main([*tests, "--rootdir", str(ROOT), "-c", str(ROOT / "setup.cfg"), "-q", "--tb=no",
                          f"--maxfail={MOST_FAILURES}", "-p", "no:cacheprovider", "-p", "no:xdist"], [failures])
    if not failures.names and status != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with status {status} for {' '.join(tests)}")
    return failures.names


class _Failures:
    """A plugin of pytest that gathers the node ids of what fails."""

    def __init__(self):
        self.names = []

    def pytest_runtest_logreport(self, report):
        if report.failed and report.nodeid not in self.names:
            self.names.append(report.nodeid)

    def pytest_collectreport(self, report):
        if report.failed:
            self.names.append(report.nodeid)


def first_tensor(bug):
    """Where the planted bug first shows in its case: a dictionary.

    {"name", "kind", "function", "problem"} of the array that went wrong first, or {"error"}, if the case breaks or its
    verdict is about no array.
    """
    case = all_cases()[bug.case]
    try:
        row = None if bug.form == "contract" else first_wrong(case.rows(bug.form))
        if row is None:
            case.check(bug.form)
            return None
    except Exception as error:    # a bug may break anything
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")}
    name, function = getattr(row.key, "name", str(row.key)), row.where or getattr(row.key, "function", "")
    if row.kind == "output":    # results are known by their index
        name, function = f"output {name}", getattr(case.numpy_twin(), "__qualname__", function)
    return {"name": name, "kind": row.kind, "function": function, "problem": row.problem}
