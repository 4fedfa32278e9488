"""harness/judge.py: a verdict must fail whatever can be wrong with an array."""

import numpy as np
import pytest

from parity_tests.harness.judge import LAYER_BOUND, error_in_eps, judge

EPS = np.finfo("float64").eps


def problem(actual, expected, bound=LAYER_BOUND, **options):
    return judge("x", "value", actual, expected, bound, **options).problem


def test_error_is_relative_to_the_largest_value():
    expected = np.array([1.0, 1e-9, -100.0])
    assert error_in_eps(expected, expected) == 0
    assert error_in_eps(expected + 1e-12, expected) == pytest.approx(1e-14 / EPS, rel=0.1)


def test_error_is_absolute_where_zero_is_expected():
    assert error_in_eps(np.array([0.0, -4 * EPS]), np.zeros(2)) == 4


def test_error_is_counted_in_eps_of_the_expected_dtype():
    assert error_in_eps(np.float32([1, 1 + 2**-20]), np.float32([1, 1])) == pytest.approx(8)
    assert error_in_eps(np.float64([1 + 1e-6]), np.float64([1]), eps=1e-6) == pytest.approx(1)


def test_infinities_must_stand_at_the_same_places():
    expected = np.array([-np.inf, 1.0, np.inf])
    assert error_in_eps(expected, expected) == 0
    assert error_in_eps(np.array([-np.inf, 1.0, -np.inf]), expected) == np.inf
    assert error_in_eps(np.array([-1e308, 1.0, np.inf]), expected) == np.inf
    assert error_in_eps(np.array([-np.inf, np.inf, np.inf]), expected) == np.inf
    assert problem(np.array([-np.inf, 1.0, -np.inf]), expected) == "infinities stand at other places"


@pytest.mark.parametrize("actual, expected", [([np.nan, 0], [0.0, 0]), ([0, 0.0], [np.nan, 0]), ([np.nan], [np.nan])])
def test_nan_always_fails(actual, expected):
    actual, expected = np.array(actual), np.array(expected)
    assert np.isnan(error_in_eps(actual, expected))
    assert problem(actual, expected).startswith("NaN")
    assert problem(actual, expected, is_zero=True).startswith("NaN")
    assert problem(actual, expected, reference=expected).startswith("NaN")
    assert problem(actual, expected, bound=np.inf).startswith("NaN")


def test_dtype_and_shape_must_be_equal():
    ones = np.ones((2, 3))
    assert problem(ones, ones) is None
    assert problem(ones, ones.astype("float32")) == "dtype is float64, torch's is float32"
    assert problem(ones.astype("int64"), ones) == "dtype is int64, torch's is float64"
    assert problem(np.ones((1, 3)), ones) == "shape is [1, 3], torch's is [2, 3]"
    assert problem(np.float64(1), np.ones(1)) == "shape is [], torch's is [1]"
    assert problem(np.ones((0, 3)), np.ones((0, 4))) == "shape is [0, 3], torch's is [0, 4]"
    assert problem(np.ones((0, 3)), np.ones((0, 3))) is None


def test_integers_and_booleans_must_be_equal():
    assert problem(np.array([1, 2]), np.array([1, 2])) is None
    assert problem(np.array([1, 2]), np.array([1, 3])) == "differs"
    assert problem(np.array([True, False]), np.array([True, True])) == "differs"


def test_the_bound_is_kept():
    ones = np.ones(3)
    assert problem(ones + 100 * EPS, ones) is None
    assert problem(ones + 200 * EPS, ones) == "too far from torch's"
    assert problem(0 * ones, ones) == "all zero, torch's is not"


def test_zero_is_expected_where_torch_is_all_zero():
    zeros = np.zeros(3)
    assert problem(zeros, zeros) is None
    assert problem(zeros + 1e-30, zeros) == "too far from torch's"


def test_gradients_that_are_zero_by_analysis_are_bounded_absolutely():
    tiny = np.full(3, 3 * EPS)
    assert problem(tiny, -tiny, is_zero=True) is None
    assert problem(0 * tiny, -tiny, is_zero=True) is None
    assert problem(tiny, np.ones(3), is_zero=True) == "too far from torch's"
    assert problem(np.ones(3), tiny, is_zero=True) == "too far from torch's"
    # In float32 torch's errors elsewhere excuse nothing here.
    rounding = np.full(3, 200 * np.finfo("float32").eps, "float32")
    assert problem(rounding, 0 * rounding, bound=1000, is_zero=True, reference=0 * tiny) == "too far from torch's"
    assert problem(rounding / 2, 0 * rounding, bound=8, is_zero=True, reference=0 * tiny) is None


def test_against_a_reference_torch_has_errors_too():
    exact = np.array([1.0, 2.0])
    theirs = np.float32(exact * (1 + 1e-5))     # torch's own error: about 84 eps
    eps32 = np.finfo("float32").eps
    assert problem(np.float32(exact * (1 + 6 * eps32)), np.float32(exact), bound=8, reference=exact) is None
    assert problem(np.float32(exact * (1 + 1e-5)), np.float32(exact), bound=8, reference=exact) is not None
    assert problem(np.float32(exact * (1 - 3e-5)), theirs, bound=8, reference=exact) is None
    assert problem(np.float32(exact * (1 - 5e-5)), theirs, bound=8, reference=exact) is not None


def test_where_torch_overflows_or_is_nan_nothing_is_forgiven():
    exact = np.array([1e300, 1.0])
    with np.errstate(over="ignore"):
        overflown = np.float32(exact)
    assert problem(overflown, overflown, bound=8, reference=exact) == "infinities stand at other places"
    assert problem(np.ones(2), np.array([np.nan, 1.0]), bound=8, reference=np.ones(2)) == "NaN in torch's"
