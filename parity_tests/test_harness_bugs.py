"""Each bug of the catalogue, planted: the comparison of its case must notice it."""

import numpy as np
import pytest

from numpy_impl.layers import linear, normalization
from parity_tests.harness.bugs import all_bugs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.planted import planted


@pytest.mark.parametrize("bug", [bug for bug in all_bugs().values() if bug.case], ids=str)
def test_the_bug_is_noticed(bug):
    case = all_cases()[bug.case]
    with bug.planted(), np.errstate(all="ignore"), pytest.raises(AssertionError):
        case.check(bug.form)


def test_a_planted_bug_is_gone_afterwards():
    case = all_cases()["linear: Linear"]
    with pytest.raises(ZeroDivisionError), planted(linear.linear_backward, "d_product.T @ rows", "1 / 0"):
        case.check("plain")
    case.check("plain")


def test_a_bug_must_fit_one_place():
    with pytest.raises(ValueError, match="'std' occurs 9 times in layer_norm_backward"):
        with planted(normalization.layer_norm_backward, "std", "variance"):
            pass
    with pytest.raises(ValueError, match="'nowhere' occurs 0 times in Linear.forward"):
        with planted(linear.Linear.forward, "nowhere", "anywhere"):
            pass
