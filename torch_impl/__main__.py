"""python -m torch_impl train | evaluate | translate."""

import sys

from numpy_impl.cli import main
from torch_impl import twin

if __name__ == "__main__":
    sys.exit(main(twin, "torch_impl"))
