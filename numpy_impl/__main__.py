"""python -m numpy_impl train | evaluate | translate."""

import sys

from numpy_impl.cli import main
from numpy_impl import twin

if __name__ == "__main__":
    sys.exit(main(twin, "numpy_impl"))
