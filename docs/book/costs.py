"""What a function costs: its floating-point operations, counted while it runs, and the bytes that it keeps."""

import collections

import numpy as np

PRODUCTS = ("matmul", "vecdot", "dot")


class Counted(np.ndarray):
    """An array that counts what NumPy does with it in `counts`, {name of the operation: how many}."""

    counts = collections.Counter()

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [value.view(np.ndarray) if isinstance(value, Counted) else value for value in inputs]
        if out is not None:
            options["out"] = tuple(value.view(np.ndarray) if isinstance(value, Counted) else value for value in out)
        result = getattr(ufunc, method)(*plain, **options)
        Counted.counts[ufunc.__name__] += self._amount(ufunc, method, plain, result)
        return np.asarray(result).view(Counted)    # the sum of everything, a single number, goes on counting

    @staticmethod
    def _amount(ufunc, method, inputs, result):
        if ufunc.__name__ in PRODUCTS:    # a product and a sum for each pair of factors
            return 2 * np.size(result) * np.shape(inputs[0])[-1]
        return np.size(inputs[0]) if method == "reduce" else np.size(result)


def operations(function, *arguments, **options):
    """{operation: how many} of one call: elementwise ones count once for each element, sums for each that is summed."""
    Counted.counts = collections.Counter()
    function(*_counting(arguments), **options)
    return dict(Counted.counts.most_common())


def _counting(value):
    if isinstance(value, tuple):
        return tuple(map(_counting, value))
    is_floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.view(Counted) if is_floating else value


def cache_bytes(cache):
    """The bytes of the arrays in a cache; one that stands in it twice counts once."""
    arrays = {id(_owner(array)): array.nbytes for array in _arrays(cache)}
    return sum(arrays.values())


def _owner(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _arrays(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _arrays(part)
