"""How far is an array from what it should be, and is that too far? A verdict that NaN cannot slip through."""

import dataclasses

import numpy as np

LAYER_BOUND = 128       # eps of float64, where activations are of order one
MODEL_BOUND = 2048
FLOAT32_BOUND = 8       # eps of float32, against torch in float64
EXTREME_BOUND = 128     # eps, against a higher precision
OWN_ERROR_FACTOR = 4    # ... or that many times torch's own error
LARGEST_FLOAT32_BOUND = 256    # a case where torch's own error asks for more tells nothing: give it another seed
# Softmax does not change when all scores of a row move together, and a key's bias moves them so: its gradient is 0 by
# analysis, and what either twin computes there is rounding alone.
ZERO_GRADIENT = "key_projection.bias"


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison. key: what was compared. kind: "value", "gradient", "output", "input gradient", ...
    error and bound: in eps of `dtype`. problem: what is wrong, in words; None if nothing is.
    own_error: the error of torch itself in eps, where a higher precision judges both. actual, expected: the arrays.
    time: in which step of the recording a local was assigned. where, line: the function that assigned it, and the line;
    of an argument, the caller's.
    """

    key: object
    kind: str
    shape: tuple = ()
    dtype: str = ""
    error: float = 0.0
    bound: float = 0.0
    problem: str | None = None
    own_error: float | None = None
    actual: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    expected: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    time: int | None = None
    where: str = ""
    line: int | None = None

    def __str__(self):
        text = (f"{self.kind} of {self.key} {self.dtype}{list(self.shape)}: "
                f"error {self.error:.3g} eps, bound {self.bound:.3g}")
        return f"{text}: {self.problem}" if self.problem else text


def first_wrong(rows):
    """The failing Row whose array was assigned first as the program ran; None if no Row fails.

    What comes first is where the mistake is: whatever follows is computed from it. Results, which are no locals and
    have no time, come last.
    """
    failing = [row for row in rows if row.problem]
    return min(failing, key=lambda row: float("inf") if row.time is None else row.time, default=None)


def error_in_eps(actual, expected, eps=None):
    """max |actual - expected| / max |expected|, in units of `eps` (default: of expected's dtype).

    Where expected is all zero, max |actual| in units of eps. Infinities must stand at the same places with the same
    sign (else the error is infinite) and are left out. NaN on either side, or on both, gives NaN: every comparison with
    a bound must be written so that NaN fails, `error <= bound`.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    eps = np.finfo(expected.dtype).eps if eps is None else eps
    if np.isnan(actual).any() or np.isnan(expected).any():
        return float("nan")
    infinite = np.isinf(actual) | np.isinf(expected)
    if not np.array_equal(actual[infinite], expected[infinite]):
        return float("inf")
    actual, expected = actual[~infinite], expected[~infinite]
    difference, scale = abs(actual - expected).max(initial=0), abs(expected).max(initial=0)
    return float(difference / (scale or 1) / eps)


def judge(key, kind, actual, expected, bound, *, reference=None, is_zero=False):
    """Return the Row for `actual` against `expected`, two arrays.

    dtype and shape must be equal, integers and booleans too, NaN fails, and the error may be at most `bound` eps.
    An array that is expected to be all zero must be all zero; is_zero: it is zero by analysis only, and both sides may
    be off by `bound` eps (at least a layer's; with a reference just that) absolutely.
    reference: `expected` in a higher precision. Then both are measured against it, and the error may also be up to
    4 times that of `expected`.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    row = Row(key, kind, actual.shape, actual.dtype.name, actual=actual, expected=expected)
    if actual.dtype != expected.dtype:
        return dataclasses.replace(row, problem=f"dtype is {actual.dtype}, torch's is {expected.dtype}")
    if actual.shape != expected.shape:
        return dataclasses.replace(row, problem=f"shape is {list(actual.shape)}, torch's is {list(expected.shape)}")
    if expected.dtype.kind not in "fc":
        return row if np.array_equal(actual, expected) else dataclasses.replace(row, error=np.inf, problem="differs")
    eps = np.finfo(expected.dtype).eps
    own_error = None if reference is None else error_in_eps(expected, reference, eps)
    if is_zero:
        error = np.max([error_in_eps(array, np.zeros_like(array)) for array in (actual, expected)])
        bound = max(bound, LAYER_BOUND) if reference is None else LAYER_BOUND
    elif reference is None:
        error = error_in_eps(actual, expected)
        bound = bound if expected.any() else 0
    else:
        error = error_in_eps(actual, reference, eps)
        bound = bound if np.isinf(own_error) else np.max([bound, OWN_ERROR_FACTOR * own_error])
    # np.max above, not max(), which may lose a NaN.
    problem = None if error <= bound and np.isfinite(error) else _what_is_wrong(actual, expected, error)
    return dataclasses.replace(row, error=float(error), bound=float(bound), problem=problem, own_error=own_error)


def _what_is_wrong(actual, expected, error):
    if np.isnan(actual).any() or np.isnan(expected).any():
        return "NaN" if np.isnan(actual).any() else "NaN in torch's"
    if np.isinf(error):
        return "infinities stand at other places"
    if expected.any() and not actual.any():
        return "all zero, torch's is not"
    return "too far from torch's"
