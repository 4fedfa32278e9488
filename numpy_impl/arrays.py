"""The way between this twin's arrays and NumPy's, for code that serves both twins."""

from numpy_impl.module import Parameter


def from_numpy(array):
    """The array as this twin computes with it."""
    return array


def to_numpy(array):
    """The values of one of this twin's arrays or parameters as a NumPy array, not a copy."""
    return array.data if isinstance(array, Parameter) else array
