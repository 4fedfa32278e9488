"""Cases of layers/positional_encoding.py."""

from parity_tests.harness.cases import Case
from parity_tests.harness.catalog.linear import rows

MAX_LENGTH = 9


def added(name, d_model):
    """A case of an encoding that is added to x: (2, 7, d_model)."""
    def build(twin, dtype, rng):
        drawn = {"rng": rng} if name == "LearnedPositionalEncoding" else {}
        return getattr(twin.layers.positional_encoding, name)(d_model, MAX_LENGTH, **drawn, dtype=dtype)
    return Case(f"positional_encoding: {name}, d_model={d_model}", build, rows(2, 7, d_model))


def turned(layout):
    """A case of `rotate_pairs`, with any numbers for cos and sin."""
    def inputs(rng, dtype):
        return {name: rng.standard_normal(shape).astype(dtype)
                for name, shape in {"x": (2, 3, 4, 6), "cos": (4, 3), "sin": (4, 3)}.items()} | {"layout": layout}
    return Case(f"positional_encoding: rotate_pairs, {layout}",
                lambda twin, dtype, rng: twin.layers.positional_encoding.rotate_pairs, inputs, frozen=("cos", "sin"))


def rotary(layout, base=10000.0):
    """A case of `RotaryPositionalEncoding`."""
    def build(twin, dtype, rng):
        return twin.layers.positional_encoding.RotaryPositionalEncoding(6, MAX_LENGTH, base, layout, dtype=dtype)
    return Case(f"positional_encoding: RotaryPositionalEncoding, {layout}, base={base:g}", build, rows(2, 3, 7, 6))


def tables(name, **sizes):
    """A case of a function that makes tables of MAX_LENGTH rows."""
    return Case(f"positional_encoding: {name}, {', '.join(f'{size}={value:g}' for size, value in sizes.items())}",
                lambda twin, dtype, rng: getattr(twin.layers.positional_encoding, name),
                lambda rng, dtype: {"length": MAX_LENGTH, **sizes, "dtype": dtype}, outputs_without_gradient=(0, 1))


def table_and_x(rng, dtype):
    """Inputs of `add_positions`: x (2, 5, 4) and a longer table (8, 4)."""
    return {**rows(2, 5, 4)(rng, dtype), "weight": rng.standard_normal((8, 4)).astype(dtype)}


CASES = [
    tables("sinusoidal_table", d_model=6),
    tables("sinusoidal_table", d_model=5),
    tables("rotation_tables", d_head=6, base=100.0),
    added("SinusoidalPositionalEncoding", 6),
    added("SinusoidalPositionalEncoding", 5),
    added("LearnedPositionalEncoding", 6),
    Case("positional_encoding: add_positions", lambda twin, dtype, rng: twin.layers.positional_encoding.add_positions,
         table_and_x),
    turned("half"),
    turned("interleaved"),
    rotary("half"),
    rotary("interleaved", base=100.0),
]
