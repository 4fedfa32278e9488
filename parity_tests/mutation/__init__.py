"""Generic mutation testing: cosmic-ray changes the arithmetic of the layers and optimizers, one place at a time.

Each mutant runs against the test file of its source. `python -m parity_tests.mutation --help` says how; `score()` gives
what the last full run found.
"""

from parity_tests.mutation.scoring import score

__all__ = ["score"]
