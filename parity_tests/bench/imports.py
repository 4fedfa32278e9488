"""How long `import numpy_impl` takes in a fresh process, beside numpy alone."""

import statistics

from parity_tests.bench.launch import in_turns, machine, table

PROGRAM = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"
MODULES = {"numpy": "numpy", "numpy_impl": "numpy_impl", "all of numpy_impl": "numpy_impl.cli, numpy_impl.twin"}
LIMIT = 0.3    # seconds


def compare(options):
    """Measure the imports in turns and print the table. Raises SystemExit if ours take too long."""
    commands = {name: (["-c", PROGRAM.format(module)], "") for name, module in MODULES.items()}
    seconds = in_turns(commands, 3 * options.launches, options.threads, 0)
    print(f"{machine(options.threads)}\n\nAn import in a fresh process: medians of {3 * options.launches} launches")
    print("\n".join(table(seconds)))
    slow = [name for name in MODULES if statistics.median(seconds[name]) > LIMIT]
    if slow:
        raise SystemExit(f"over {LIMIT} s: {', '.join(slow)}")
