"""Find what a learner has written in a file: the backward pass, perhaps a forward pass of their own, or a class.

Runs in the process that runs the learner's code.
"""

import importlib.util
import inspect
import sys
from pathlib import Path


class NotFound(Exception):
    """The file has no such function or class. The message says what it has."""


class Refused(Exception):
    """Functions cannot be checked as they are. The message says why."""


def load_file(path):
    """Import a file under a name of its own; its folder comes first on the path, as if it were run."""
    path = Path(path).resolve()
    sys.path.insert(0, str(path.parent))
    name = f"learner_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def find_backward(module, name, wanted, signature):
    """The function to grade: `wanted`, or `<name>_backward`, or the only one that it can be."""
    own = own_functions(module)
    if wanted:
        if not callable(getattr(module, wanted, None)):
            raise NotFound(f"there is no function {wanted}; the file has {_listing(own)}")
        return getattr(module, wanted)
    if callable(getattr(module, f"{name}_backward", None)):
        return getattr(module, f"{name}_backward")
    candidates = {key: function for key, function in own.items()
                  if not key.startswith("_") and key not in (name, "example_inputs")}
    named = {key: function for key, function in candidates.items() if "backward" in key}
    for chosen in (named, candidates):
        if len(chosen) == 1:
            return next(iter(chosen.values()))
    raise NotFound(f"there is no function {signature}; the file has {_listing(own)}. Give one this name, or choose one "
                   "with --function NAME")


def find_forward(module, name):
    """The learner's own forward pass: a function of this name that is defined in the file, or None."""
    return own_functions(module).get(name)


def find_pair(module, name, backward):
    """The functions `name` and `backward` (None for `<name>_backward`) of a file that is to be checked."""
    found = []
    for wanted in (name, backward or f"{name}_backward"):
        if not callable(getattr(module, wanted, None)):
            raise NotFound(f"there is no function {wanted}; the file has {_listing(own_functions(module))}")
        found.append(getattr(module, wanted))
    return found


def example_inputs(module):
    """What the file's `example_inputs()` returns, as a dict or a tuple."""
    function = getattr(module, "example_inputs", None)
    if not callable(function):
        raise NotFound("there is no function example_inputs(), which returns a dict or a tuple of arrays; or give "
                       "--inputs file.npz")
    inputs = function()
    if not isinstance(inputs, (dict, tuple, list)):
        raise Refused(f"example_inputs() returned {type(inputs).__name__}, must return a dict or a tuple of arrays")
    return inputs


def find_class(module, name, wanted):
    """The class to grade."""
    own = {key: value for key, value in vars(module).items()
           if inspect.isclass(value) and value.__module__ == module.__name__}
    chosen = own.get(wanted or name)
    if chosen is None:
        raise NotFound(f"there is no class {wanted or name}; the file has {_listing(own)}")
    return chosen


def own_functions(module):
    """{name: function} of the functions that the file itself defines."""
    return {name: value for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__}


def problem_with_arguments(function, arguments):
    """In words, why `function` cannot be called with these positional arguments (their names); None if it can."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*arguments)
    except TypeError:
        return f"{function.__name__}{signature} must take ({', '.join(arguments)})"
    return None


def _listing(names):
    return ", ".join(names) if names else "none at all"
