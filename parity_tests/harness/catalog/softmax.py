"""Cases of layers/softmax.py."""

import numpy as np

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.linear import rows


def scores(*shape, axis=-1):
    """Inputs: x of this shape, with a few masked scores and one row of nothing but masked ones; and the axis."""
    def inputs(rng, dtype):
        x = rng.standard_normal(shape).astype(dtype)
        x[rng.random(shape) < 0.2] = -np.inf
        x[(0,) * len(shape)] = 1                                 # this row has a score at least
        np.moveaxis(x, axis, -1)[(-1,) * (len(shape) - 1)] = -np.inf
        return {"x": x, "axis": axis}
    return inputs


def along(axis, *shape):
    """Inputs: x of this shape, and the axis."""
    return lambda rng, dtype: {**rows(*shape)(rng, dtype), "axis": axis}


def softmax(twin, dtype, rng):
    return twin.layers.softmax.softmax


def log_softmax(twin, dtype, rng):
    return twin.layers.softmax.log_softmax


SOFTMAX_OMITTED = {"softmax_lean": ("shifted", "exponentials", "divisor"),
                   "softmax_lean_backward": ("d_shifted", "d_exponentials", "d_total", "d_divisor")}
LOG_SOFTMAX_OMITTED = {"log_softmax_lean_backward": ("d_shifted", "d_exponentials", "d_total", "d_log_total")}

CASES = [
    Case("softmax: softmax", softmax, rows(2, 3, 5), omitted=SOFTMAX_OMITTED),
    # A complex step away from -inf is no number; differences are.
    Case("softmax: softmax of masked scores", softmax, scores(2, 3, 4, 5), analytic=False, omitted=SOFTMAX_OMITTED),
    Case("softmax: softmax along the middle", softmax, scores(3, 4, 2, axis=1), analytic=False,
         omitted=SOFTMAX_OMITTED),
    Case("softmax: Softmax", lambda twin, dtype, rng: twin.layers.softmax.Softmax(), rows(2, 3, 5),
         omitted=SOFTMAX_OMITTED),
    Case("softmax: Softmax along the first axis", lambda twin, dtype, rng: twin.layers.softmax.Softmax(0), rows(4, 3),
         omitted=SOFTMAX_OMITTED),
    Case("softmax: log_softmax", log_softmax, rows(2, 3, 5), omitted=LOG_SOFTMAX_OMITTED),
    Case("softmax: log_softmax along the middle", log_softmax, along(1, 3, 4, 2), omitted=LOG_SOFTMAX_OMITTED),
    Case("softmax: LogSoftmax", lambda twin, dtype, rng: twin.layers.softmax.LogSoftmax(), rows(2, 3, 5),
         omitted=LOG_SOFTMAX_OMITTED),
]
