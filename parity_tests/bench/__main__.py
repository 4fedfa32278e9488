"""python -m parity_tests.bench step | import: both without an argument."""

import argparse
import os

from parity_tests.bench import imports, step

BENCHMARKS = {"import": imports.compare, "step": step.compare}


def main(arguments=None):
    """Run the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m parity_tests.bench", description="Compare speeds, in turns, each side in processes of its own. "
        "The machine should have nothing else to do.")
    parser.add_argument("benchmark", nargs="*", metavar="step | import", default=list(BENCHMARKS),
                        help="(default: both)")
    parser.add_argument("--launches", type=int, default=3, help="processes a side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=40, help="timed in each launch (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1,
                        help=f"of BLAS and torch, 1 to {os.cpu_count()} here (default: %(default)s, as the demo)")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds before each launch (default: %(default)s)")
    parser.add_argument("--dtype", nargs="+", default=["float64", "float32"], choices=["float64", "float32"])
    options = parser.parse_args(arguments)
    for name in options.benchmark:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}, only {' and '.join(BENCHMARKS)}")
    for name in options.benchmark:
        BENCHMARKS[name](options)


if __name__ == "__main__":
    main()
