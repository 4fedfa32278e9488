"""The verb `bugs`: list and show the catalogue, run the scoreboard, see what a bug does to training."""

import difflib
import sys
import textwrap
from pathlib import Path

from parity_tests.harness.bugs.catalogue import all_bugs
from parity_tests.harness.errors import UserError

OUTPUT = Path("runs") / "bugs"
WIDTH = 100


def add_parser(verbs):
    """Add `bugs` with its four parts to the subparsers of argparse."""
    parser = verbs.add_parser("bugs", help="the bug catalogue: list, show, run, train",
                              description="A catalogue of realistic mistakes in backward passes, each with its story.")
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    part = parts.add_parser("list", help="names and titles", description="The names and titles of the bugs.")
    part.add_argument("text", nargs="*", metavar="TEXT", help="only bugs whose name, title or story has all of these")
    part.add_argument("--layer", metavar="FILE", help="only bugs of this file, such as normalization")
    part = parts.add_parser("show", help="the story of a bug, and its diff",
                            description="What a bug looks like, why people make it and what it does; and its diff.")
    part.add_argument("name", metavar="NAME")
    part = parts.add_parser("run", help="the scoreboard: each bug against the test suite",
                            description="Plant each bug and run the tests: each must be killed. Status 1 if one is "
                                        "not, or if a test fails without any bug. The whole catalogue takes minutes.")
    part.add_argument("names", nargs="*", metavar="NAME", help="only these bugs")
    part.add_argument("-o", "--output", type=Path, metavar="DIR",
                      help=f"where scoreboard.json and scoreboard.html go (default: {OUTPUT}; with names: nowhere)")
    part = parts.add_parser("train", help="what a bug does to training",
                            description="Train a small model without the bug and with it, from the same seed.")
    part.add_argument("name", metavar="NAME")
    part.add_argument("--steps", type=int, metavar="N", help="optimizer steps (default: 800)")
    part.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    part.add_argument("-o", "--output", type=Path, metavar="FILE", help="draw the loss curves into this PNG")


def run(arguments):
    """Do what the arguments ask for. Returns the exit status; raises UserError for what cannot be done."""
    return {"list": _list, "show": _show, "run": _run, "train": _train}[arguments.part](arguments)


def find(name):
    """The bug of that name. Raises UserError, with the names that are most like it."""
    bugs = all_bugs()
    if name not in bugs:
        holding = [other for other in bugs if name in other]
        like = holding[:3] or difflib.get_close_matches(name, bugs, n=3, cutoff=0.5)
        raise UserError(f"NAME: was {name!r}, must be one that `bugs list` shows"
                        + (f"; did you mean {' or '.join(like)}?" if like else ""))
    return bugs[name]


# list


def _list(arguments):
    bugs = all_bugs().values()
    layers = sorted({bug.file for bug in bugs})
    if arguments.layer not in (None, *layers):
        raise UserError(f"--layer: was {arguments.layer!r}, must be one of {', '.join(layers)}")
    chosen = [bug for bug in bugs if arguments.layer in (None, bug.file)
              and all(text.lower() in f"{bug.name} {bug.title} {bug.story()}".lower() for text in arguments.text)]
    print(table(chosen))
    return 0


def table(bugs):
    """Names and titles of the bugs, grouped by the files that they are planted in; and how many there are."""
    width = max((len(bug.name) for bug in bugs), default=0)
    lines, file = [], None
    for bug in bugs:
        if bug.file != file:
            file = bug.file
            lines += [*([""] if lines else []), bug.path]
        lines.append(f"  {bug.name:<{width}}  {bug.title}")
    return "\n".join([*lines, *([""] if lines else []), f"{len(bugs)} bug{'' if len(bugs) == 1 else 's'}"])


# show


def _show(arguments):
    print(description(find(arguments.name)))
    return 0


def description(bug):
    """All that the catalogue knows about a bug, as text."""
    noticed = [f"the tests of parity_tests/test_{bug.file}.py"]
    if bug.case:
        noticed.insert(0, f"the case {bug.case!r} (form: {bug.form})")
    lines = [bug.name, bug.title, "", _wrap(bug.story()), "", bug.diff().rstrip("\n"), "",
             _wrap(f"Noticed by {' and '.join(noticed)}.")]
    if bug.seen:
        lines += ["", "Seen:", *(f"{_wrap(f'- {what}', '  ')}\n  {url}" for url, what in bug.seen)]
    return "\n".join(lines)


def _wrap(text, indent=""):
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


# run


def _run(arguments):
    from parity_tests.harness.bugs import scoreboard

    bugs = [find(name) for name in dict.fromkeys(arguments.names)] or None
    try:
        result = scoreboard.run(bugs, progress=True)
    except RuntimeError as error:
        print(f"bugs: {error}", file=sys.stderr)
        return 1
    print(scoreboard.summary(result))
    output = arguments.output or (None if bugs else OUTPUT)
    if output:
        try:
            print("\n" + "\n".join(f"wrote {path}" for path in scoreboard.write(result, output)))
        except OSError as error:
            raise UserError(f"--output: was {output}, must be a folder that can be written to: {error}") from error
    return 1 if result["survivors"] else 0


# train


def _train(arguments):
    from parity_tests.harness.bugs import training

    bug = find(arguments.name)
    steps = training.STEPS if arguments.steps is None else arguments.steps
    if steps < training.LEAST_STEPS:
        raise UserError(f"--steps: was {steps}, must be at least {training.LEAST_STEPS}")
    if arguments.seed < 0:
        raise UserError(f"--seed: was {arguments.seed}, must be at least 0")
    right, wrong = training.compare(bug, steps, arguments.seed)
    print(training.table(bug, steps, right, wrong))
    if arguments.output:
        try:
            training.plot(bug, right, wrong, arguments.output)
        except OSError as error:
            raise UserError(f"--output: was {arguments.output}, must be a file that can be written: {error}") from error
        print(f"\nwrote {arguments.output}")
    return 0
