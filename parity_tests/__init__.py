"""The tests that hold the two implementations together, the harness that they are built on, and the lab on top of it.

For notebooks: `from parity_tests import step`, and likewise the other names of EXPORTS, each loaded when asked for.
"""

import importlib

# {name: the module that it is in}
EXPORTS = {
    "step": "parity_tests.harness.stepper.stepped",
    "grade": "parity_tests.harness.doctor.grade",
    "check": "parity_tests.harness.doctor.check",
    "report": "parity_tests.harness.report.build",
    "all_bugs": "parity_tests.harness.bugs.catalogue",
    "exercise": "parity_tests.exercises",
    "hunt": "parity_tests.exercises.hunting",
}
__all__ = list(EXPORTS)


def __getattr__(name):
    if name not in EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(EXPORTS[name]), name)


def __dir__():
    return sorted([*globals(), *EXPORTS])
