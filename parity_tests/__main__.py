"""The lab: python -m parity_tests VERB ...

Each verb lives in a module with `add_parser(verbs)` and `run(arguments)`, which is imported only when it is asked for.
"""

import argparse
import importlib
import os
import sys

from parity_tests.harness.errors import UserError

DESCRIPTION = "See, step through, break and grade a backward pass."
EPILOG = """\
examples:
  python -m parity_tests step layer_norm
  python -m parity_tests step transformer -o runs/transformer.html
  python -m parity_tests grade layer_norm my_file.py
  python -m parity_tests VERB --help

From a notebook: `from parity_tests import step, grade, check`, and the others likewise."""
# {verb: (its module, what it does)}
VERBS = {
    "report": ("parity_tests.harness.report.command", "every tensor and gradient, judged by every oracle"),
    "step": ("parity_tests.harness.stepper.command", "go through a run line by line, forward and backward"),
    "bugs": ("parity_tests.harness.bugs.command", "the bug catalogue: list, show, run, train"),
    "grade": ("parity_tests.harness.doctor.command", "judge a backward pass that you wrote, and say what is wrong"),
    "check": ("parity_tests.harness.doctor.command", "judge any pair of functions by numerical derivatives"),
    "exercise": ("parity_tests.exercises.command", "write a backward pass yourself: stub, hints, answer"),
    "hunt": ("parity_tests.exercises.command", "find the bug that was planted in a copy of a layer"),
}
BROKEN_PIPE = 141    # what a shell reports of a program that a closed pipe has ended
INTERRUPTED = 130


def main(arguments=None):
    """Run the command line. Returns the exit status: that of the verb, or 2 for what cannot be done."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")    # a terminal without our characters shall not end the program
    verb = next((word for word in arguments if not word.startswith("-")), None)
    try:
        options = make_parser(verb).parse_args(arguments)
        status = importlib.import_module(VERBS[options.verb][0]).run(options)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"{verb}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith(__package__):
            raise
        package = error.name.partition(".")[0]
        print(f"{verb}: this needs the package {package}: pip install {package}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())    # what is still buffered has nowhere to go
        return BROKEN_PIPE


def make_parser(verb):
    """The parser, with the options of this verb; of the others only the names."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests", description=DESCRIPTION, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    if verb in VERBS:
        importlib.import_module(VERBS[verb][0]).add_parser(verbs)
    for name, (_, summary) in VERBS.items():
        if name not in verbs.choices:
            verbs.add_parser(name, help=summary)
    return parser


if __name__ == "__main__":
    sys.exit(main())
