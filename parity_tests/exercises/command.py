"""The verbs `exercise` and `hunt`."""

from pathlib import Path

from parity_tests.exercises import all_exercises, exercise
from parity_tests.exercises.files import write_new
from parity_tests.exercises.model import LEVELS
from parity_tests.harness.errors import UserError


def add_parser(verbs):
    """Add both verbs to the subparsers of argparse."""
    parser = verbs.add_parser(
        "exercise", help="write a backward pass yourself: stubs, hints, answers",
        description="Without a NAME, list the exercises. With one, write a file in which the backward pass is missing.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="such as layer_norm or FeedForward")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the file goes (default: NAME.py)")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--hint", type=int, choices=LEVELS, help="print a hint: 1 a nudge, 2 the plan, 3 the formulas")
    instead.add_argument("--answer", action="store_true", help="print the answer, and why it is right")
    parser = verbs.add_parser(
        "hunt", help="find a planted bug in a copy of a layer",
        description="Write a copy of a layer with one bug in it; or, given such a FILE, say whether the bug is gone. "
                    "Status 0: found, 1: not yet.")
    parser.add_argument("target", nargs="?", metavar="LAYER|FILE",
                        help="a layer's file, such as normalization (default: any), or a file that hunt has written")
    parser.add_argument("--bug", metavar="NAME", help="plant this bug of the catalogue")
    parser.add_argument("--seed", type=int, metavar="N", help="draw the same bug each time")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE",
                        help="where the copy goes (default: hunt_LAYER.py)")
    parser.add_argument("--hint", type=int, choices=LEVELS,
                        help="of a FILE: tell 1 the function, 2 about which lines, 3 what the bug looks like")
    parser.add_argument("--reveal", action="store_true", help="of a FILE: show the bug")


def run(arguments):
    """Do what the arguments ask for. Returns the exit status; raises UserError for what cannot be done."""
    return _exercise(arguments) if arguments.verb == "exercise" else _hunt(arguments)


def _exercise(arguments):
    if arguments.name is None:
        if arguments.hint or arguments.answer or arguments.output:
            raise UserError("NAME: was not given, must be the name of an exercise")
        print(listing())
        return 0
    chosen = exercise(arguments.name)
    if arguments.hint:
        print(chosen.hint(arguments.hint))
    elif arguments.answer and not arguments.output:
        print(chosen.answer, end="")
    else:
        path = arguments.output or Path(chosen.file_name)
        write_new(path, chosen.answer if arguments.answer else chosen.stub_for(path))
        print(f"{path} is written." if arguments.answer else
              f"{path} is written. Fill in {chosen.asked}, then: python -m parity_tests grade {chosen.name} {path}")
    return 0


def listing():
    """All exercises, from easy to hard, as a table."""
    exercises = all_exercises().values()
    width = max(len(one.name) for one in exercises)
    return "\n".join([f"{'exercise':<{width}}  level  what it is about",
                      *(f"{one.name:<{width}}  {one.difficulty} of 5 {one.title}" for one in exercises), "",
                      "python -m parity_tests exercise NAME    writes the file to begin with"])


def _hunt(arguments):
    from parity_tests.exercises.hunting import hunt, names_a_file    # with torch, which takes a second to load

    goes_on = names_a_file(arguments.target)
    if not goes_on and (arguments.hint or arguments.reveal):
        raise UserError(f"FILE: was {arguments.target!r}, must be a file that a hunt has written")
    one = hunt(arguments.target, bug=arguments.bug, seed=arguments.seed, output=arguments.output)
    if not goes_on:
        print(one)
        return 0
    if arguments.reveal:
        print(one.reveal())
        return 0
    check = one.check(arguments.hint or 0)
    print(check)
    return 0 if check.found else 1
