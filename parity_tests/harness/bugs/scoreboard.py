"""The scoreboard: every bug of the catalogue against the test suite. Each must be killed."""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

from tqdm import tqdm

from parity_tests.harness.bugs import suite
from parity_tests.harness.bugs.catalogue import all_bugs
from parity_tests.harness.pages import page
from parity_tests.harness.threads import one_thread

FOLDER = Path(__file__).parent
PROCESSES = 2
SECONDS = 300    # for one bug and one lot of tests: some bugs never end
SECONDS_TO_EXIT = 10
# What else may kill a bug that its own test file lets live: the tests of what is built of the layers. The tests of the
# lab are not asked, since they plant the same bugs.
OTHER_TESTS = ("encoder", "decoder", "transformer", "residual", "trainer", "trajectory", "decoding", "other_libraries")


def own_tests(bug):
    """The test file of the layer that has the bug."""
    return [f"parity_tests/test_{bug.file}.py"]


def other_tests(bug):
    """The test files that are asked when the own one lets the bug live."""
    return [name for name in (f"parity_tests/test_{file}.py" for file in OTHER_TESTS) if name not in own_tests(bug)]


def run(bugs=None, own=own_tests, other=other_tests, seconds=SECONDS, progress=False):
    """Plant each bug and run the tests. Returns a dictionary that JSON can hold, the same each time.

    bugs: a list of Bug; None means the whole catalogue. own(bug), other(bug): lists of test files or node ids, the
    second asked where the first all pass. seconds: after so many without an end the bug counts as killed.
    progress: show a bar. Raises RuntimeError if one of these tests fails without any bug.
    """
    bugs = list(all_bugs().values()) if bugs is None else list(bugs)
    # Without any bug all must pass, or to fail would mean nothing.
    controls = dict.fromkeys((None, tuple(own(bug)), False) for bug in bugs)
    tasks = [*controls, *((bug, tuple(own(bug)), True) for bug in bugs)]
    outcomes = {}
    with tqdm(total=len(tasks), unit="run", disable=not progress) as bar:
        for (bug, tests, is_own), outcome in _run_tasks(tasks, seconds):
            bar.update()
            if bug is None and outcome["failed"]:
                raise RuntimeError(f"without any bug a test fails: {outcome['failed'][0]}")
            if is_own and not outcome["failed"] and other(bug):
                more = [(None, tuple(other(bug)), False), (bug, tuple(other(bug)), False)]
                tasks += [task for task in more if task not in controls]
                controls[more[0]] = None
                bar.total = len(tasks)
            if bug is not None:
                before = outcomes.get(bug.name, {"failed": [], "first": None})
                outcomes[bug.name] = {"failed": outcome["failed"], "first": before["first"] or outcome["first"]}
    return _result(bugs, outcomes)


def _result(bugs, outcomes):
    entries = []
    for bug in bugs:
        failed, first = outcomes[bug.name]["failed"], outcomes[bug.name]["first"]
        entries.append({"name": bug.name, "title": bug.title, "path": bug.path, "function": bug.qualified_name,
                        "case": bug.case, "form": bug.form, "killed": bool(failed),
                        "killed_by": failed[0] if failed else None, "failures": len(failed), "first": first,
                        "first_is_planted_place": bool(first) and first.get("function") == bug.qualified_name})
    return {"bugs": entries, "total": len(entries), "killed": sum(entry["killed"] for entry in entries),
            "survivors": [entry["name"] for entry in entries if not entry["killed"]],
            "most_failures": suite.MOST_FAILURES}


# Processes


def _run_tasks(tasks, seconds):
    """Run (bug, tests, look for the tensor), a process each, PROCESSES at a time; whoever iterates may append tasks.

    Yields (task, outcome) as they end.
    """
    context, running, started = _context(), {}, 0
    try:
        while started < len(tasks) or running:
            while started < len(tasks) and len(running) < PROCESSES:
                receiver, process = _start(context, tasks[started])
                running[receiver] = tasks[started], process, time.monotonic() + seconds
                started += 1
            nearest = min(deadline for _, _, deadline in running.values())
            for receiver in wait(list(running), max(nearest - time.monotonic(), 0)):
                task, process, _ = running.pop(receiver)
                yield task, _receive(receiver, process)
            for receiver in [other for other, (_, _, deadline) in running.items() if deadline <= time.monotonic()]:
                task, process, _ = running.pop(receiver)
                _end(process)
                yield task, _nothing(f"no end within {seconds} seconds")
    finally:
        for _, process, _ in running.values():
            _end(process)


def _context():
    """How processes are made: as copies of a server that has imported everything, where there is fork."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([suite.__name__])
    return context


def _start(context, task):
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=suite.serve, args=(sender, *task))
    with one_thread():    # the server inherits it
        process.start()
    sender.close()
    return receiver, process


def _receive(receiver, process):
    """The outcome that a process sent."""
    try:
        outcome = receiver.recv()
    except EOFError:
        outcome = None
    process.join(SECONDS_TO_EXIT)
    if outcome is None:
        outcome = _nothing(f"the process ended with status {process.exitcode}")
    _end(process)
    return outcome


def _nothing(why):
    """The outcome of a bug that broke the process itself."""
    return {"failed": [why], "first": None}


def _end(process):
    """End a process and those that it started, unless it has ended by itself."""
    if process.is_alive():
        with contextlib.suppress(ProcessLookupError):    # it has no group of its own yet, or there are no groups
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.join()
    process.close()


# What is written and printed


def summary(result):
    """The result as lines of text: which test killed each bug, and where it first shows."""
    width = max((len(entry["name"]) for entry in result["bugs"]), default=0)
    lines = [f"{entry['name']:<{width}}  {entry['killed_by'] or 'SURVIVES'}{_first_text(entry)}"
             for entry in result["bugs"]]
    return "\n".join([*lines, "", f"{result['killed']} of {result['total']} bugs killed"])


def _first_text(entry):
    first = entry["first"]
    return f"; first: {first['name']} in {first['function']}" if first and "name" in first else ""


def write(result, folder):
    """Write scoreboard.json and scoreboard.html into a folder, which is made. Returns their paths.

    result: as `run` returns it. Raises OSError if a file can't be written.
    """
    folder = Path(folder)
    paths = folder / "scoreboard.json", folder / "scoreboard.html"
    page.write(paths[0], json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    page.write(paths[1], html(result))
    return paths


def html(result, bugs=None):
    """The page of a result. bugs: {name: Bug}; None means the whole catalogue."""
    bugs = all_bugs() if bugs is None else bugs
    cards = [{**entry, "bug": bugs[entry["name"]], "diff": _diff_lines(bugs[entry["name"]])}
             for entry in result["bugs"]]
    body = page.render(FOLDER / "scoreboard.html", result=result, cards=cards)
    return page.page("Bug scoreboard", body, styles=[(FOLDER / "scoreboard.css").read_text(encoding="utf-8")],
                     scripts=[(FOLDER / "scoreboard.js").read_text(encoding="utf-8")])


def _diff_lines(bug):
    """[(kind, text)] of the lines of a bug's diff; the kinds are classes of the style sheet."""
    kinds = {"+": "added", "-": "removed", "@": "place"}
    return [(kinds.get(line[:1], "same"), line) for line in bug.diff().splitlines()[2:]]
