"""`python -m parity_tests grade` and `python -m parity_tests check`."""

import argparse

from parity_tests.harness.errors import UserError

GRADE = """Grade a backward pass that you wrote.

The file holds `<name>_backward(d_y, cache)`, which gets the cache of our plain forward pass and returns the gradients
in the order of the forward's arguments. If it also holds your own `<name>(...)`, which returns its outputs and a cache,
that one is run before. For a module it holds a class of that name, with the constructor, parameter names, forward and
backward of ours. The file runs in a process of its own. Status: 0 passed, 1 not right, 2 cannot be graded."""
CHECK = """Check any pair of NumPy functions.

FILE:FUNCTION returns `y, cache`, and `<FUNCTION>_backward(d_y, cache)` its gradients; or FUNCTION returns y alone, and
the other takes (d_y, *inputs). Inputs come from a .npz file, by name, or from `example_inputs()` of the file, a dict or
a tuple of arrays. The gradients are compared with complex steps where the function is analytic, else with central
differences."""


def add_parser(verbs):
    """Add both verbs to the subparsers of the command line."""
    grade = verbs.add_parser("grade", help="grade a backward pass that you wrote", description=GRADE,
                             formatter_class=argparse.RawDescriptionHelpFormatter)
    grade.add_argument("name", help="a primitive, such as layer_norm, or a module, such as LayerNorm")
    grade.add_argument("file", help="your Python file")
    grade.add_argument("--function", metavar="NAME", help="what your function or class is called, if not as ours")
    check = verbs.add_parser("check", help="check any pair of NumPy functions, forward and backward", description=CHECK,
                             formatter_class=argparse.RawDescriptionHelpFormatter)
    check.add_argument("target", metavar="FILE:FUNCTION", help="the forward function")
    check.add_argument("--backward", metavar="NAME", help="the backward function (default: <FUNCTION>_backward)")
    check.add_argument("--inputs", metavar="FILE.npz", help="arrays by the names of the arguments")
    check.add_argument("--tolerance", type=float, metavar="T", help="relative to the largest entry of a gradient")
    for parser, seconds in ((grade, 10), (check, 30)):
        parser.add_argument("--time-limit", type=float, default=seconds, metavar="S",
                            help="seconds that your code may take (default: %(default)s)")
        parser.add_argument("--answer", action="store_true", help="also tell the change that would make it right")
        parser.add_argument("--json", action="store_true", help="print the verdict as JSON")


def run(arguments):
    """Run the verb that was asked for; returns the exit status."""
    return (_grade if arguments.verb == "grade" else _check)(arguments)


def _grade(arguments):
    from parity_tests.harness.doctor.grade import grade

    return _show(grade(arguments.name, arguments.file, function=arguments.function, time_limit=arguments.time_limit),
                 arguments)


def _check(arguments):
    from parity_tests.harness.doctor.check import check
    from parity_tests.harness.inputs import read_inputs

    file, colon, function = arguments.target.rpartition(":")
    if not (colon and file and function.isidentifier()):
        raise UserError(f"target: was {arguments.target!r}, must be FILE:FUNCTION, such as my_layer.py:my_function")
    inputs = read_inputs(arguments.inputs) if arguments.inputs else None
    return _show(check(function, arguments.backward, inputs, file=file, tolerance=arguments.tolerance,
                       time_limit=arguments.time_limit), arguments)


def _show(verdict, arguments):
    print(verdict.to_json() if arguments.json else verdict)
    if arguments.answer and not arguments.json:
        print("\nAnswer: " + ("; ".join(verdict.answers()) or "no single small change is known"))
    return 0 if verdict.passed else 1
