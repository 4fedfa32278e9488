"""Build the report: examine the cases, in several processes if there are many, and sum up."""

import fnmatch
import json
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

import torch
from tqdm import tqdm

from parity_tests.harness import catalog
from parity_tests.harness.errors import UserError
from parity_tests.harness.pages.page import write as write_file
from parity_tests.harness.report.examine import COLUMNS, FORMS, examine
from parity_tests.harness.report.page import html
from parity_tests.harness.report.places import in_order
from parity_tests.harness.threads import one_thread

PROCESSES = min(4, os.cpu_count() or 1)
FEW = 24    # cases; starting a process takes as long as examining so many
SCOREBOARD = Path("runs/bugs/scoreboard.json")


def report(cases=None, folder=None, *, processes=None, progress=False):
    """Examine cases and return the report, a dict that JSON can hold; the same each time.

    cases: a list of Case, or a pattern as `choose` takes it; None: all of them. folder: where report.json and
    report.html are written to, if given. processes: how many work; with 1 it all happens in this process, which sees
    what was changed in it, a planted bug for instance. progress: show a bar on a terminal.
    Raises UserError if no case fits the pattern, and OSError if a file cannot be written.
    """
    chosen = in_order(choose(cases) if cases is None or isinstance(cases, str) else cases)
    if processes is None:
        processes = PROCESSES if cases is None and len(chosen) > FEW else 1
    with tqdm(total=len(chosen), unit="case", disable=None if progress else True) as bar:
        entries = _examine_here(chosen, bar) if processes == 1 else _examine_in_processes(chosen, processes, bar)
    result = {"versions": {"python": platform.python_version(), "numpy": version("numpy"), "torch": version("torch")},
              "summary": summary(entries), "columns": list(COLUMNS), "cases": entries,
              "bugs": _bugs(), "mutation": _mutation()}
    if folder is not None:
        write(result, folder)
    return result


def choose(pattern=None):
    """The cases of the catalog whose names hold the pattern, or fit it where it has * or ?; all of them without one.

    Raises UserError if there are none.
    """
    cases = list(catalog.all_cases().values())
    if pattern is None:
        return cases
    wild = pattern if set(pattern) & set("*?") else f"*{pattern}*"
    chosen = [case for case in cases if fnmatch.fnmatchcase(case.name.lower(), wild.lower())]
    if not chosen:
        files = ", ".join(dict.fromkeys(case.name.partition(":")[0] for case in in_order(cases)))
        raise UserError(f"--case: was {pattern!r}, must be a part of a case's name; "
                        f"the names begin with one of {files}")
    return chosen


# Work


def _examine_here(cases, bar):
    entries = []
    for case in cases:
        entries.append(examine(case))
        bar.update()
    return entries


def _examine_in_processes(cases, processes, bar):
    """Several processes, each with one thread of BLAS. The last cases are the largest, so they come first."""
    entries = {}
    with one_thread():
        pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,))
        with pool:
            futures = [pool.submit(examine_by_name, case.name) for case in reversed(cases)]
            for future in as_completed(futures):
                entry = future.result()
                entries[entry["name"]] = entry
                bar.update()
    return [entries[case.name] for case in cases]


def examine_by_name(name):
    """Examine a case of the catalog: what a process is told to do, as it cannot be handed a Case."""
    return examine(catalog.all_cases()[name])


# Sums


def summary(entries):
    """What stands on top of the report: counts, the largest errors, and the first wrong tensor of the whole run."""
    wrong = [entry["first_wrong"] for entry in entries if entry["first_wrong"]]
    return {"cases": len(entries), "failing_cases": sum(entry["failing"] > 0 for entry in entries),
            "tensors": sum(len(entry["tensors"]) for entry in entries),
            "comparisons": sum(verdict["compared"] or 0 for entry in entries for verdict in entry["verdicts"]),
            "not_run": sum(verdict["status"] == "not run" for entry in entries for verdict in entry["verdicts"]),
            "largest": {precision: _largest(entries, precision) for precision in ("float64", "float32")},
            "first_wrong": wrong[0] if wrong else None}


def _largest(entries, precision):
    """The largest finite error of the twins in this precision: {"case", "tensor", "error"}; None if there is none."""
    columns = [COLUMNS.index(form) for form in FORMS if form.endswith("float32") == (precision == "float32")]
    errors = [{"case": entry["name"], "tensor": line[COLUMNS.index("tensor")], "error": line[column]}
              for entry in entries for line in entry["tensors"] for column in columns
              if isinstance(line[column], float)]
    return max(errors, key=lambda found: found["error"], default=None)


def _bugs():
    """The numbers of the last run of the scoreboard, where it was run: {"total", "killed", "survivors"}; else None."""
    try:
        scoreboard = json.loads(SCOREBOARD.read_text(encoding="utf-8"))
        return {name: scoreboard[name] for name in ("total", "killed", "survivors")}
    except (OSError, ValueError, KeyError):
        return None


def _mutation():
    """The score of the mutation run, see `parity_tests.mutation.score`; None where there is none."""
    try:
        from parity_tests.mutation import score
        return score()
    except (ImportError, OSError):
        return None


# Files


def write(result, folder):
    """Write report.json and report.html into a folder, which is made. Returns their paths."""
    folder = Path(folder)
    paths = folder / "report.json", folder / "report.html"
    write_file(paths[0], as_text(result))
    write_file(paths[1], html(result))
    return paths


def as_text(value, indent=0):
    """JSON with sorted keys, and each list of plain values on one line: a line for each tensor."""
    space = " " * (indent + 1)
    if isinstance(value, dict) and value:
        parts = [f"{space}{json.dumps(key)}: {as_text(value[key], indent + 1)}" for key in sorted(value)]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}" + ("" if indent else "\n")
    if isinstance(value, list) and any(isinstance(part, (dict, list)) for part in value):
        return "[\n" + ",\n".join(space + as_text(part, indent + 1) for part in value) + "\n" + " " * indent + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
