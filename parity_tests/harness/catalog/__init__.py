"""The cases, one file a layer or model file; whatever iterates over all of them starts here."""

import importlib
import pkgutil


def all_cases():
    """{name: Case} of every file in this folder. Raises ValueError if two cases share a name."""
    cases = {}
    for file in pkgutil.iter_modules(__path__):
        for case in importlib.import_module(f"{__name__}.{file.name}").CASES:
            if case.name in cases:
                raise ValueError(f"two cases are called {case.name!r}")
            cases[case.name] = case
    return cases
