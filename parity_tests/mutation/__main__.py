"""python -m parity_tests.mutation run | status | report: see --help."""

import sys

try:
    import cosmic_ray  # noqa: F401
except ModuleNotFoundError:
    print('cosmic-ray is missing, must be installed: pip install -e ".[test,mutation]"', file=sys.stderr)
    sys.exit(2)

from parity_tests.mutation.command import main  # noqa: E402

sys.exit(main())
