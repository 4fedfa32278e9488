"""The bug catalogue: realistic mistakes, each with its story, planted one at a time to see which test notices.

`all_bugs()` is the catalogue, {name: Bug}. `scoreboard.run(bugs)` is the test suite against it, and
`training.compare(bug)` what a bug does to training: both are imported when first asked for.
"""

import importlib

from parity_tests.harness.bugs.bug import Bug
from parity_tests.harness.bugs.catalogue import all_bugs

__all__ = ["Bug", "all_bugs", "scoreboard", "training"]


def __getattr__(name):
    if name in ("scoreboard", "training"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
