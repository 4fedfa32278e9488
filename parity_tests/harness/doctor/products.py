"""Which product of two arrays of the learner's code is a given array? It names a missing term in their words."""

import itertools

import numpy as np

from parity_tests.harness.doctor.compare import agrees

MOST_ARRAYS = 24
LARGEST = 20_000


def as_product(target, arrays, tolerance=1e-9):
    """The array as source text, such as "d_y * gate" or "(d_y * x).sum(0)"; "" if it is no such product.

    arrays: {name: array}, those that are to be named first. What has one number, or none but zeros, tells nothing.
    """
    if target.size < 3 or not target.any():
        return ""
    usable = {name: array for name, array in arrays.items() if array.size <= LARGEST and array.any()}
    usable = dict(list(usable.items())[:MOST_ARRAYS])
    for name, array in usable.items():
        if array.size > 1 and _fits(array, target, tolerance):
            return name
    for (one, first), (two, second) in itertools.combinations_with_replacement(usable.items(), 2):
        for text, product in _products(one, first, two, second):
            if found := _found(text, product, target, tolerance):
                return found
    return ""


def _products(one, first, two, second):
    """(text, array) of the products and quotients that two arrays have."""
    with np.errstate(all="ignore"):
        for text, operation in ((f"{one} * {two}", lambda: first * second), (f"{one} / {two}", lambda: first / second),
                                (f"{two} / {one}", lambda: second / first)):
            yield from _tried(text, operation)
        for left, right, a, b in ((one, two, first, second), (two, one, second, first)):
            if a.ndim > 1 and b.ndim > 1:
                yield from _tried(f"{left} @ {right}", lambda: a @ b)
                yield from _tried(f"{left} @ {right}.T", lambda: a @ b.swapaxes(-1, -2))
                yield from _tried(f"{left}.T @ {right}", lambda: a.swapaxes(-1, -2) @ b)


def _tried(text, operation):
    try:
        product = operation()
    except ValueError:    # shapes that do not go together
        return
    if product.size <= LARGEST and np.isfinite(product).all():
        yield text, product


def _found(text, product, target, tolerance):
    """The text, if the product equals the target, or its sum over an axis or the leading axes does; with its sign."""
    for reduced, summed in _reduced(product, target.shape):
        wrapped = f"({text}).sum({reduced})" if reduced else text
        if _fits(summed, target, tolerance):
            return wrapped
        if _fits(-summed, target, tolerance):
            return f"-{wrapped}" if reduced or " " not in text else f"-({text})"
    return ""


def _fits(array, target, tolerance):
    return array.shape == target.shape and agrees(array, target, tolerance)


def _reduced(product, shape):
    """(axes as text, array): the product, and its sums that have this shape."""
    if product.shape == shape:
        yield "", product
    elif product.ndim == len(shape) + 1:
        for axis in range(product.ndim):
            if product.shape[:axis] + product.shape[axis + 1:] == shape:
                yield str(axis), product.sum(axis)
    elif product.ndim > len(shape) and product.shape[product.ndim - len(shape):] == shape:
        axes = tuple(range(product.ndim - len(shape)))
        yield str(axes), product.sum(axes)
    elif product.ndim == len(shape):
        axes = tuple(axis for axis, length in enumerate(shape) if length == 1)
        if axes and all(product.shape[axis] == length for axis, length in enumerate(shape) if axis not in axes):
            yield f"{axes[0] if len(axes) == 1 else axes}, keepdims=True", product.sum(axes, keepdims=True)
