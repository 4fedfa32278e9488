"""Cases of layers/linear.py."""

from parity_tests.harness.cases import Case


def rows(*shape):
    """Inputs: x of this shape."""
    return lambda rng, dtype: {"x": rng.standard_normal(shape).astype(dtype)}


def arrays(**shapes):
    """Inputs: arrays of these shapes, by name; None stays None."""
    def inputs(rng, dtype):
        return {name: None if shape is None else rng.standard_normal(shape).astype(dtype)
                for name, shape in shapes.items()}
    return inputs


def function(twin, dtype, rng):
    return twin.layers.linear.linear


def layer(d_in, d_out, bias=True):
    return lambda twin, dtype, rng: twin.layers.linear.Linear(d_in, d_out, bias, rng=rng, dtype=dtype)


CASES = [
    Case("linear: linear", function, arrays(x=(2, 3, 5), weight=(4, 5), bias=(4,))),
    Case("linear: linear without bias", function, arrays(x=(2, 3, 5), weight=(4, 5), bias=None)),
    Case("linear: Linear", layer(5, 7), rows(2, 3, 5)),
    Case("linear: Linear, square", layer(6, 6), rows(3, 6)),
    Case("linear: Linear without bias", layer(6, 3, bias=False), rows(2, 2, 4, 6)),
]
