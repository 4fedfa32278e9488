"""The verb `step`: the stepper in the terminal, as a web page or as text."""

import argparse
import os
import sys
from pathlib import Path

from parity_tests.harness.errors import UserError

DESCRIPTION = """\
Go through a run line by line, first forward, then backward: each array with its gradient and its difference to torch.

In a terminal it opens the stepper (? shows its keys). With -o it writes a web page, which needs no network. Where
the output is no terminal, or with --text, it prints the whole run."""
EPILOG = """\
examples:
  python -m parity_tests step --list
  python -m parity_tests step layer_norm
  python -m parity_tests step encoder_layer --form lean
  python -m parity_tests step transformer -o runs/transformer.html
  python -m parity_tests step "normalization: RMSNorm" | grep d_x

A function of your own, and its backward pass if the file has one; example_inputs() in the file returns its inputs as
{argument: array}, or --inputs names a file that numpy.savez has written:
  python -m parity_tests step my_layer.py:my_function
  python -m parity_tests step my_layer.py:my_function --inputs inputs.npz --backward my_gradient -o runs/mine.html
  python -m parity_tests step my_layer.py:MyLayer"""


def add_parser(verbs):
    """Add `step` to the subparsers of argparse."""
    parser = verbs.add_parser("step", help="go through a run line by line, forward and backward",
                              description=DESCRIPTION, epilog=EPILOG,
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?", metavar="CASE",
                        help="a name that --list shows, any case of the tests, or FILE.py:FUNCTION")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write a web page")
    parser.add_argument("--text", action="store_true", help="print the run, a block for each step")
    parser.add_argument("--list", action="store_true", help="the names of the cases")
    parser.add_argument("--form", default="plain", choices=("plain", "lean"),
                        help="the textbook form, or the quick one where there is one (default: %(default)s)")
    own = parser.add_argument_group("a function of your own")
    own.add_argument("--inputs", type=Path, metavar="FILE", help="an .npz file: an array for each argument")
    own.add_argument("--backward", metavar="NAME", help="its backward pass (default: FUNCTION_backward)")


def run(arguments):
    """Do what the arguments ask for. Returns the exit status; raises UserError for what cannot be done."""
    if arguments.list:
        return _list()
    if not arguments.case:
        raise UserError("CASE is missing: --list shows the names, --help what else it may be")
    trace = trace_of(arguments)
    if arguments.output:
        from parity_tests.harness.stepper.stepped import save
        save(trace, arguments.output)
        print(f"wrote {arguments.output}")
    elif not arguments.text and is_terminal():
        from parity_tests.harness.stepper.terminal import show
        show(trace)
    else:
        from parity_tests.harness.stepper.text import lines_of
        for line in lines_of(trace):
            print(line)
    return 1 if trace.stopped or trace.first_wrong is not None else 0


def trace_of(arguments):
    """The Trace that the arguments ask for."""
    path, name = own_file(arguments.case)
    if path:
        from parity_tests.harness.stepper.user_function import trace_file
        if arguments.form != "plain":
            raise UserError(f"--form: was {arguments.form}, must be left out for a function of your own")
        return trace_file(path, name, arguments.inputs, arguments.backward)
    for option in ("inputs", "backward"):
        if getattr(arguments, option):
            raise UserError(f"--{option}: goes with FILE.py:FUNCTION, but CASE was {arguments.case!r}")
    from parity_tests.harness.stepper.stepped import trace_named
    return trace_named(arguments.case, arguments.form)


def own_file(case):
    """(path, name) of FILE.py:NAME or FILE.py; (None, None) for a case."""
    path, colon, name = case.rpartition(":")
    if colon and path.endswith(".py"):
        return Path(path), name
    return (Path(case), "") if case.endswith(".py") else (None, None)


def is_terminal():
    """Can the stepper be shown here?"""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _list():
    from parity_tests.harness.catalog import all_cases
    from parity_tests.harness.stepper.showcases import showcases

    print("\n".join([*showcases(), "", "All cases of the tests, with --form plain or lean:", "", *all_cases()]))
    return 0
