"""Functions of others that compute the same as our cases: torch's own modules and functions, and other libraries.

One file a layer or model file, each with a list OTHERS; whatever iterates over all of them starts at `all_others`.
Nothing of ours is built before it is asked for, so that a layer that is broken breaks nobody else's.
"""

import dataclasses
import functools
import importlib
import importlib.util
import pkgutil
from typing import Callable

from parity_tests.harness import catalog, oracles
from parity_tests.harness.cases import Case


@dataclasses.dataclass(frozen=True, eq=False)
class Other:
    """Somebody else's function that computes the same as a case.

    name: what it is, "torch.nn.functional.linear". case: of the catalog, or changed to what the other can do, but under
    the same name. function(values) -> one tensor or several; values: {name: tensor} of all inputs and parameters, see
    `oracles.against_rows`. library: the package that it needs.
    """

    name: str
    case: Case
    function: Callable
    library: str = "torch"

    def __str__(self):
        return f"{self.case}, {self.name}"

    def missing(self):
        """Why it cannot run here, in words; "" if it can."""
        return "" if importlib.util.find_spec(self.library) else f"{self.library} is not installed"

    def rows(self):
        """{form: [Row, ...]} of outputs and gradients."""
        return oracles.against_rows(self.case, self.function)

    def check(self):
        """AssertionError if outputs or gradients differ."""
        oracles.check_against(self.case, self.function)


def named(name):
    """The case of this name."""
    return _cases()[name]


@functools.cache
def _cases():
    return catalog.all_cases()


def all_others():
    """{case name: [Other, ...]} of every file in this folder."""
    found = {}
    for file in pkgutil.iter_modules(__path__):
        for other in importlib.import_module(f"{__name__}.{file.name}").OTHERS:
            found.setdefault(other.case.name, []).append(other)
    return found
