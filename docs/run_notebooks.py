"""Run the notebooks from top to bottom, one after another: `make notebooks`, or python docs/run_notebooks.py [FILE...].

What they show is not kept. Fails where a cell fails, and where a notebook takes more than two minutes.
"""

import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
COLOUR = re.compile(r"\x1b\[[\d;]*m")
LIMIT = 120    # seconds for a whole notebook


def run(path, limit=LIMIT):
    """(seconds, what is wrong or "") of a notebook, whose cells start where it lies."""
    notebook = nbformat.read(path, as_version=4)
    began = time.perf_counter()

    def left(cell):
        return max(began + limit - time.perf_counter(), 0.1)

    client = NotebookClient(notebook, kernel_name="python3", timeout_func=left, startup_timeout=limit,
                            extra_arguments=["--log-level=50"],    # it warns of how it is connected
                            resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute()
        problem = ""
    except CellTimeoutError:
        problem = f"takes more than {limit} seconds"
    except (CellExecutionError, DeadKernelError) as error:
        problem = COLOUR.sub("", str(error)).strip()
    seconds = time.perf_counter() - began
    return seconds, problem or (f"takes more than {limit} seconds" if seconds > limit else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="by default all of notebooks/")
    files = parser.parse_args().files or sorted(FOLDER.glob("*.ipynb"))
    if not files:
        return f"there are no notebooks in {FOLDER}"
    problems = {}
    for path in files:
        seconds, problem = run(path)
        print(f"{path.stem:32} {seconds:6.1f} s  {'fails' if problem else 'runs'}", flush=True)
        if problem:
            problems[path.name] = problem
    for name, problem in problems.items():
        print(f"\n{name}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
