"""One BLAS thread for each test process, no network, and Hypothesis without chance."""

import os

# Before NumPy is imported: its BLAS reads them once. Tests run in parallel processes, not in parallel threads.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np    # noqa: E402
import pytest    # noqa: E402
from hypothesis import settings    # noqa: E402

settings.register_profile("parity", deadline=None, derandomize=True, database=None, max_examples=20)
settings.load_profile("parity")


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(0)
