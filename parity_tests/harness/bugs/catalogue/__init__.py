"""The bugs, one file for each file that they are planted in, each with a list BUGS."""

import functools
import importlib
import pkgutil


@functools.cache
def _load():
    bugs = {}
    for file in pkgutil.iter_modules(__path__):
        for bug in importlib.import_module(f"{__name__}.{file.name}").BUGS:
            if bug.name in bugs:
                raise ValueError(f"two bugs are called {bug.name!r}")
            bugs[bug.name] = bug
    return bugs


def all_bugs():
    """{name: Bug} of every file in this folder, in the order of the files' names. ValueError if two share a name."""
    return dict(_load())
