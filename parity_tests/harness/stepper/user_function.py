"""Somebody's own function, from a file or a notebook: find it, its backward pass and its inputs, and trace it."""

import copy
import difflib
import inspect

import numpy as np

from parity_tests.harness.doctor.loading import load_file, own_functions
from parity_tests.harness.errors import UserError
from parity_tests.harness.inputs import read_inputs
from parity_tests.harness.stepper.derivatives import judge_gradients
from parity_tests.harness.trace_function import described, trace_function

MOST_ELEMENTS = 100_000    # of all inputs: a copy is kept at each step, and a page holds them all


def trace_file(path, name, inputs_path=None, backward_name=None):
    """The Trace of the function, method or class of this name in a file ("" where the file has only one function).

    inputs_path: an .npz file; None for what example_inputs() in the file returns. backward_name: None for the usual.
    """
    module = load(path)
    function = find(module, name or only_function(module, path), path)
    backward = find(module, backward_name, path, "--backward") if backward_name else usual_backward(function)
    inputs = read_inputs(inputs_path) if inputs_path else example_inputs(vars(module), function, path.name)
    return trace(function, inputs, backward, f"--inputs: {inputs_path}" if inputs_path else "example_inputs()")


def trace_object(function, inputs=None, backward=None):
    """The Trace of a function that is at hand."""
    if not callable(function):
        raise UserError(f"what: was {type(function).__name__}, must be the name of a case or a function")
    if inputs is None:
        inputs = example_inputs(names_around(function), function, "the place where the function is defined")
    return trace(function, by_name(function, inputs, "inputs"), backward or usual_backward(function), "inputs")


def trace(function, inputs, backward, source):
    """The Trace, once it is clear that the function can be run with these inputs, which come from `source`."""
    for part in (function, backward):
        if part is not None and not hasattr(inspect.unwrap(part), "__code__"):
            raise UserError(f"{part!r} cannot be stepped through: it must be a function written in Python")
    check_names(function, inputs, source)
    size = sum(value.size for value in inputs.values() if isinstance(value, np.ndarray))
    if size > MOST_ELEMENTS:
        raise UserError(f"{source}: {size} numbers, must be at most {MOST_ELEMENTS}: each step keeps a copy")
    found = trace_function(function, copy.deepcopy(inputs), backward)
    if not found.steps:
        raise UserError(f"nothing was recorded of {function.__name__}: it must be a plain function, no lambda and no "
                        "generator, with a source that can be read; and no debugger may be at work")
    if inspect.ismethod(function):
        found.title = f"{type(function.__self__).__name__}.{function.__name__}"
    if backward and not found.stopped:
        judge_gradients(found, function, backward, inputs)
    return found


# The function


def load(path):
    """The module of a file."""
    if not path.is_file():
        raise UserError(f"CASE: there is no file {path}")
    try:
        return load_file(path)
    except SyntaxError as error:
        raise UserError(f"CASE: {path} cannot be read, line {error.lineno}: {type(error).__name__}: {error.msg}"
                        ) from error
    except (Exception, SystemExit) as error:
        raise UserError(f"CASE: {path} cannot be imported: {described(error, {str(path.resolve())})}") from error


def find(module, name, path, option="CASE"):
    """The function of this name; of a class its method `forward`."""
    owner, _, method = name.partition(".")
    found = getattr(module, owner, None)
    if found is None:
        alike = difflib.get_close_matches(owner, own_functions(module), 1)
        hint = f"did you mean {alike[0]}?" if alike else f"it has {listed(module)}"
        raise UserError(f"{option}: {path.name} has no function {owner}; {hint}")
    if not inspect.isclass(found):
        return found
    method = method or "forward"
    if not callable(getattr(found, method, None)):
        raise UserError(f"{option}: the class {owner} has no method {method}")
    return getattr(built(module, found, path), method)


def built(module, owner, path):
    """An instance of a class: what example_module() returns, or made without arguments."""
    make = getattr(module, "example_module", owner)
    try:
        return make()
    except Exception as error:
        hint = "" if make is not owner else "; define example_module() to make one with arguments"
        raise UserError(f"CASE: {make.__name__}() makes no {owner.__name__}: "
                        f"{described(error, {str(path.resolve())})}{hint}") from error


def only_function(module, path):
    """The name of the only function that the file can mean."""
    names = [name for name in own_functions(module) if not name.startswith(("_", "example_"))]
    forwards = [name for name in names if not name.endswith("_backward")]
    if len(forwards) != 1:
        raise UserError(f"CASE: was {path}, must name a function, {path}:FUNCTION; it has {listed(module)}")
    return forwards[0]


def usual_backward(function):
    """The function called <function>_backward beside this one, or the method `backward`; None if there is none."""
    if inspect.ismethod(function):
        return getattr(function.__self__, "backward", None)
    return names_around(function).get(f"{getattr(function, '__name__', '')}_backward")


def names_around(function):
    """The global names of the place where a function is defined."""
    return getattr(inspect.unwrap(function), "__globals__", {})


def listed(module):
    return ", ".join(own_functions(module)) or "none at all"


# Its inputs


def example_inputs(names, function, place):
    """{argument: value} of what `example_inputs()` among the names returns."""
    make = names.get("example_inputs")
    if not callable(make):
        raise UserError(f"inputs are missing: give --inputs FILE.npz, or define example_inputs() in {place}, which "
                        f"returns {{{', '.join(f'{name!r}: ...' for name in inspect.signature(function).parameters)}}}")
    try:
        inputs = make()
    except Exception as error:
        raise UserError(f"example_inputs(): {described(error, {make.__code__.co_filename})}") from error
    return by_name(function, inputs, "example_inputs()")


def by_name(function, inputs, source):
    """{argument: value} of a dict, or of a tuple in the order of the arguments."""
    if isinstance(inputs, dict):
        return inputs
    names = list(inspect.signature(function).parameters)
    if not isinstance(inputs, (tuple, list)):
        raise UserError(f"{source}: was {type(inputs).__name__}, must be a dict {{argument: value}} or a tuple")
    if len(inputs) > len(names):
        raise UserError(f"{source}: {len(inputs)} values, but the function takes {len(names)}: {', '.join(names)}")
    return dict(zip(names, inputs))


def check_names(function, inputs, source):
    """Raise UserError unless the function can be called with arguments of these names."""
    signature = inspect.signature(function)
    try:
        signature.bind(**inputs)
    except TypeError as error:
        raise UserError(f"{source}: {error}; {function.__name__}{signature} was given "
                        f"{', '.join(inputs) or 'nothing'}") from error
