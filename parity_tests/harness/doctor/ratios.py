"""Ratio tests: how is the wrong gradient related to the truth, whatever the code may be?"""

import itertools
import math

import numpy as np

from parity_tests.harness.doctor.compare import agrees
from parity_tests.harness.doctor.evidence import everywhere, factor_between, meaning, name_of_factor
from parity_tests.harness.doctor.verdict import Finding, names_text


def find(evidence):
    """One Finding for each wrong gradient that is related to the truth; those that say the same are joined."""
    found = []
    for name, pairs in evidence.pairs.items():
        for test in TESTS:
            text = test(name, pairs)
            if text:
                found.append((name, text))
                break
    return [Finding("ratio", f"{names_text(names)} {_plural(text) if len(names) > 1 else text}", names=tuple(names))
            for text, names in _joined(found).items()]


def _plural(text):
    """The text about one gradient, said of several."""
    return text.replace("is ", "are ", 1) if text.startswith("is ") else text.replace("has ", "have ", 1)


def _joined(found):
    joined = {}
    for name, text in found:
        joined.setdefault(text, []).append(name)
    return joined


def _constant_factor(name, pairs):
    factors = [factor_between(actual, truth) for _, actual, truth in pairs]
    if None in factors:
        return None
    text = name_of_factor(pairs, factors)
    if text == "-1":
        return "is right but for the sign: every entry has the opposite one"
    if text:
        exactly = "" if "perhaps" in text else "exactly "
        return (f"is {exactly}{text} times the true gradient{meaning(text)}: this factor is too much, or its inverse "
                "is missing")
    if np.allclose(factors, factors[0]):
        return f"is {factors[0]:.6g} times the true gradient, whatever the sizes: look for a constant"
    listed = ", ".join(f"{factor:.4g}" for factor in factors[:3])
    return f"is right but for a factor that differs from case to case ({listed}): it depends on sizes or on options"


def _order_of_axes(name, pairs):
    """The axes are exchanged, where their lengths allow it."""
    for order in itertools.permutations(range(pairs[0][2].ndim)):
        def turned(example, actual, truth):
            return truth.ndim == len(order) and agrees(actual, truth.transpose(order))
        if order != tuple(sorted(order)) and everywhere(pairs, turned):
            what = "transposed" if len(order) == 2 else f"right with its axes in the order {order}"
            return f"is {what}: an axis is taken for another"
    for first, second in itertools.combinations(range(pairs[0][2].ndim), 2):
        def mixed(example, actual, truth):
            return truth.ndim > second and agrees(actual, truth.swapaxes(first, second).reshape(truth.shape))

        def mixed_back(example, actual, truth):
            shape = list(truth.shape)
            shape[first], shape[second] = shape[second], shape[first]
            return truth.ndim > second and agrees(actual, truth.reshape(shape).swapaxes(first, second))
        if everywhere(pairs, mixed) or everywhere(pairs, mixed_back):
            return (f"has the right numbers at the wrong places: a reshape cannot exchange the axes {first} and "
                    f"{second}, it takes a transpose before")
    return None


def _misplaced(name, pairs):
    """The same numbers, in whatever other order."""
    def same_numbers(example, actual, truth):
        return agrees(np.sort(actual, axis=None), np.sort(truth, axis=None))
    if everywhere(pairs, same_numbers):
        return ("has the right numbers at the wrong places: axes are taken for one another, or a reshape stands where "
                "a transpose is needed before")
    return None


def _reversed_or_rolled(name, pairs):
    for axis in range(pairs[0][2].ndim):
        if everywhere(pairs, lambda example, actual, truth: truth.ndim > axis
                      and agrees(actual, np.flip(truth, axis))):
            return f"is right, but reversed along axis {axis}"
        for shift in (1, -1):
            if everywhere(pairs, lambda example, actual, truth: truth.ndim > axis
                          and agrees(actual, np.roll(truth, shift, axis))):
                return f"is right, but one place too far {'on' if shift > 0 else 'back'} along axis {axis}"
    return None


def _unequal_along(name, pairs):
    """Every slice along an axis is the same, though the truth's are not: an index or a mean took the place of a sum."""
    for axis in range(pairs[0][2].ndim):
        def same(example, actual, truth):
            if truth.ndim <= axis or truth.shape[axis] < 2:
                return False
            first = np.take(actual, [0], axis)
            return agrees(np.broadcast_to(first, truth.shape).copy(), actual) and not agrees(
                np.broadcast_to(np.take(truth, [0], axis), truth.shape).copy(), truth)
        if everywhere(pairs, same):
            return (f"has the same numbers everywhere along axis {axis}, where the truth differs: is it summed over "
                    "that axis, or written to all of its places at once by a broadcast or an index?")
    return None


def _summed_over_another_axis(name, pairs):
    """Sums along one axis are right while single entries are not."""
    for axis in range(pairs[0][2].ndim):
        def sums(example, actual, truth):
            if truth.ndim <= max(axis, 1) or truth.shape[axis] < 2:
                return False
            return bool(truth.sum(axis).any()) and agrees(actual.sum(axis), truth.sum(axis)) and abs(
                truth.sum(axis)).max() > 1e-6 * abs(truth).max()
        if everywhere(pairs, sums):
            return (f"has the right sums along axis {axis}, but they are spread wrongly over its entries")
    return None


def _factor_by_slice(name, pairs):
    """Right up to a factor for each row, each column, each head..."""
    dimensions = pairs[0][2].ndim
    for count in range(dimensions - 1, 0, -1):
        for axes in itertools.combinations(range(dimensions), count):
            if everywhere(pairs, lambda example, actual, truth: _constant_ratio(actual, truth, axes)):
                others = [axis for axis in range(dimensions) if axis not in axes]
                return (f"is right up to a factor for each index of axis {' and '.join(map(str, others))} (along "
                        f"{'axis' if count == 1 else 'axes'} {' and '.join(map(str, axes))} the ratio to the truth is "
                        "the same)")
    return None


def _constant_ratio(actual, truth, axes):
    if truth.ndim <= max(axes) or math.prod(truth.shape[axis] for axis in axes) < 3:
        return False
    norm = (truth * truth).sum(axis=axes, keepdims=True)
    along = (actual * truth).sum(axis=axes, keepdims=True) / np.where(norm == 0, 1, norm)
    return bool(actual.any()) and agrees(along * truth, actual)


def _constant_difference(name, pairs):
    """Off by the same number all along an axis: a mean or a sum over it is missing or wrong."""
    dimensions = pairs[0][2].ndim
    for axis in reversed(range(dimensions)):
        def constant(example, actual, truth):
            if truth.ndim <= axis or truth.shape[axis] < 3:
                return False
            difference = actual - truth
            return agrees(np.broadcast_to(difference.mean(axis, keepdims=True), truth.shape).copy(), difference)
        if everywhere(pairs, constant):
            return (f"is off by the same number all along axis {axis}: a sum or mean over that axis is missing, left "
                    "in though it should not be there, or has the wrong factor")
    return None


def _inverted(name, pairs):
    """Zero exactly where it must not be, and the reverse."""
    def swapped(example, actual, truth):
        return bool((truth == 0).any()) and np.array_equal(actual == 0, truth != 0)
    if everywhere(pairs, swapped):
        return "is 0 exactly where the truth is not, and the reverse: a mask is inverted"
    return None


def _rounded(name, pairs):
    """So nearly right that no term can be wrong."""
    errors = [abs(actual - truth).max() / (abs(truth).max() or 1) for _, actual, truth in pairs]
    if max(errors) < 3e-6:
        return (f"is right to {-int(np.floor(np.log10(max(errors)))) - 1} digits: a part of it is computed in float32 "
                "(np.zeros(..., dtype=np.float32), astype), by finite differences, or with an eps that is not the "
                "forward's")
    return None


TESTS = (_constant_factor, _inverted, _order_of_axes, _reversed_or_rolled, _misplaced, _unequal_along,
         _summed_over_another_axis, _factor_by_slice, _constant_difference, _rounded)
