"""Whole models against those of the transformers library in the same weights: logits, and gradients of all parameters.

The library is not among the project's requirements; without it these tests are skipped.
"""

import pytest

from parity_tests.harness.against.transformers_library import OTHERS


@pytest.mark.long
@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_transformers(other):
    if other.missing():
        pytest.skip("compares with the transformers library where it is installed (pip install transformers)")
    other.check()
