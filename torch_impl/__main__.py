"""python -m torch_impl train | evaluate | translate."""

import os
import sys

# Small matrices are quicker on one thread, and wait for each other on two. NumPy and torch read this when they load.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from numpy_impl.cli import main    # noqa: E402
from torch_impl import twin    # noqa: E402

if __name__ == "__main__":
    sys.exit(main(twin, "torch_impl"))
