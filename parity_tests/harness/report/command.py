"""The verb `report`: every tensor of every case, judged by every oracle, as JSON and as a web page."""

from pathlib import Path

from parity_tests.harness.errors import UserError

OUTPUT = Path("runs") / "report"


def add_parser(verbs):
    """Add `report` to the subparsers of argparse."""
    parser = verbs.add_parser(
        "report", help="every tensor and gradient, judged by every oracle, as a web page",
        description="Run every case in both twins, compare every tensor and every gradient, ask every oracle, and "
                    "write report.html and report.json. Status 1 if anything differs.")
    parser.add_argument("--case", metavar="PATTERN", help="only cases whose name holds this, such as softmax or "
                                                          "'attention: Self*'")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, metavar="DIR",
                        help="where report.html and report.json go (default: %(default)s)")


def run(arguments):
    """Write the report and print its summary. Returns the exit status; raises UserError for what cannot be done."""
    from parity_tests.harness.report import build

    result = build.report(arguments.case, progress=True)
    print(summary(result))
    try:
        print("\n".join(f"wrote {path}" for path in build.write(result, arguments.output)))
    except OSError as error:
        raise UserError(f"--output: was {arguments.output}, must be a folder that can be written: {error}") from error
    return 1 if result["summary"]["failing_cases"] else 0


def summary(result):
    """The report in a few lines: how many agree, and where the first wrong tensor is made."""
    numbers = result["summary"]
    lines = [f"{_count(numbers['cases'], 'case')}, {numbers['tensors']} tensors, {numbers['comparisons']} comparisons"]
    for precision, largest in numbers["largest"].items():
        if largest:
            lines.append(f"largest error in {precision}: {largest['error']:g} eps, {largest['tensor']} of "
                         f"{largest['case']!r}")
    if numbers["first_wrong"]:
        failing = [entry["name"] for entry in result["cases"] if entry["failing"]]
        more = f" and {len(failing) - 3} more" if len(failing) > 3 else ""
        lines += [f"{_count(len(failing), 'case')} {'fails' if len(failing) == 1 else 'fail'}: "
                  f"{'; '.join(failing[:3])}{more}", *first_wrong_lines(numbers["first_wrong"])]
    else:
        lines.append("all agree")
    return "\n".join(lines)


def _count(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")


def first_wrong_lines(wrong):
    """What went wrong first, where it was made, and the source there."""
    what = f"{wrong['kind']} of {wrong['tensor']}: {wrong['problem']}" if wrong["tensor"] else wrong["problem"]
    where = ", ".join(filter(None, [wrong["function"], f"{wrong['file']}:{wrong['line']}" if wrong["file"] else ""]))
    return [f"first wrong: {what}", f"made in {where}", *(f"    {line}" for line in wrong["source"].splitlines()),
            f"seen in the case {wrong['case']!r}, {wrong['oracle']} {wrong['form']}".rstrip()]
