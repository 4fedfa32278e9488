"""layers/positional_encoding.py: parity, oracles, tables, what rotation does to scores, others' formulas, errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.harness import oracles
from parity_tests.harness.against.positional_encoding import OTHERS
from parity_tests.harness.cases import Case, pairs
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.catalog.linear import rows
from parity_tests.harness.catalog.positional_encoding import CASES
from parity_tests.harness.runs import NUMPY, TORCH

TWINS = pytest.mark.parametrize(
    "twin, as_input", [(NUMPY, np.asarray), (TORCH, torch.as_tensor)], ids=["numpy", "torch"])
MODULES = [case for case in CASES if "PositionalEncoding" in case.name]


def named(name):
    return all_cases()[f"positional_encoding: {name}"]


@pytest.mark.parametrize("case, form", pairs(CASES), ids=str)
def test_parity(case, form):
    case.check(form)


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_empty_batch(case):
    for form in case.forms():
        case.empty("x").check(form)


@pytest.mark.parametrize("case", [case for case in CASES if oracles.has_gradient(case)], ids=str)
def test_oracles(case):
    oracles.check(case)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_against_torch(other):
    other.check()


@pytest.mark.parametrize("layer", ["SinusoidalPositionalEncoding", "LearnedPositionalEncoding"])
@given(batch=st.integers(1, 3), length=st.integers(1, 6), unused=st.integers(0, 2), width=st.integers(1, 7))
def test_any_shape_of_added_encodings(layer, batch, length, unused, width):
    def build(twin, dtype, rng):
        drawn = {"rng": rng} if layer.startswith("Learned") else {}
        return getattr(twin.layers.positional_encoding, layer)(width, length + unused, **drawn, dtype=dtype)
    Case("positional_encoding: any", build, rows(batch, length, width)).check("plain")


@given(shape=st.tuples(*[st.integers(1, 4)] * 3), unused=st.integers(0, 2), half=st.integers(1, 4),
       layout=st.sampled_from(["half", "interleaved"]))
def test_any_shape_of_rotations(shape, unused, half, layout):
    def build(twin, dtype, rng):
        return twin.layers.positional_encoding.RotaryPositionalEncoding(
            2 * half, shape[2] + unused, layout=layout, dtype=dtype)
    Case("positional_encoding: any", build, rows(*shape, 2 * half)).check("plain")


# Tables


@TWINS
@pytest.mark.parametrize("d_model", [6, 7, 1])
def test_the_table_of_sinusoids_is_the_formula(d_model, twin, as_input):
    """Sines in even columns, cosines in odd ones, in pairs of equal wavelength; the last of an odd number is a sine."""
    table = np.asarray(twin.layers.positional_encoding.sinusoidal_table(20, d_model, "float64"))
    for position in range(20):
        for column in range(d_model):
            function = math.cos if column % 2 else math.sin
            angle = position / 10000 ** (2 * (column // 2) / d_model)
            assert abs(table[position, column] - function(angle)) < 1e-14


@TWINS
def test_tables_are_rounded_once(twin, as_input):
    """Computed in float32, an angle such as 4000.3 would be off by 0.0001."""
    encodings = twin.layers.positional_encoding
    exact, rounded = (np.asarray(encodings.sinusoidal_table(5000, 64, dtype)) for dtype in ("float64", "float32"))
    assert exact.dtype == "float64" and rounded.dtype == "float32"
    assert abs(exact - rounded).max() < 6e-8
    tables = (encodings.rotation_tables(5000, 64, 10000.0, dtype) for dtype in ("float64", "float32"))
    for exact, rounded in zip(*tables):
        assert abs(np.asarray(exact) - np.asarray(rounded)).max() < 6e-8


def test_long_tables_agree():
    """An angle's rounding grows with the position: 5000 radians are known to 5000 eps."""
    ours, theirs = (twin.layers.positional_encoding.sinusoidal_table(5000, 64, "float64") for twin in (NUMPY, TORCH))
    assert abs(ours - theirs.numpy()).max() < 5000 * np.finfo("float64").eps


@TWINS
def test_the_tables_are_neither_parameters_nor_state(twin, as_input):
    encodings = twin.layers.positional_encoding
    for layer in (encodings.SinusoidalPositionalEncoding(6, 9), encodings.RotaryPositionalEncoding(6, 9)):
        assert layer.num_parameters() == 0 and len(layer.state_dict()) == 0
    assert list(encodings.LearnedPositionalEncoding(6, 9).state_dict()) == ["weight"]


@TWINS
def test_a_sequence_gets_the_first_rows(twin, as_input):
    layer = twin.layers.positional_encoding.SinusoidalPositionalEncoding(6, 9, dtype="float64")
    y = np.asarray(layer(as_input(np.zeros((2, 4, 6)))))
    assert np.array_equal(y, np.broadcast_to(np.asarray(layer.table)[:4], (2, 4, 6)))


@TWINS
def test_initial_values_of_learned_positions(twin, as_input):
    layer = twin.layers.positional_encoding.LearnedPositionalEncoding(64, 400, rng=np.random.default_rng(0))
    assert abs(float(layer.weight.data.std()) * 8 - 1) < 0.02


# Rotation


def interleaved(x):
    """Features in layout "half", put into the order of layout "interleaved"."""
    half = x.shape[-1] // 2
    return np.stack([x[..., :half], x[..., half:]], axis=-1).reshape(x.shape)


def test_the_layouts_differ_in_the_order_of_features_only(rng):
    x = rng.standard_normal((2, 3, 4, 6))
    half, mixed = (NUMPY.layers.positional_encoding.RotaryPositionalEncoding(6, 4, layout=layout, dtype="float64")
                   for layout in ("half", "interleaved"))
    assert np.array_equal(interleaved(half(x)), mixed(interleaved(x)))
    assert np.array_equal(interleaved(half.backward(x)), mixed.backward(interleaved(x)))


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_scores_depend_on_the_distance_alone(layout, rng):
    """The same query and key at every position: the score of (t, u) is that of (t + 1, u + 1), and lengths stay."""
    query, key = (np.broadcast_to(rng.standard_normal(8), (1, 1, 30, 8)) for _ in range(2))
    turn = NUMPY.layers.positional_encoding.RotaryPositionalEncoding(8, 30, layout=layout, dtype="float64")
    turned_query, turned_key = turn(query)[0, 0], turn(key)[0, 0]
    scores = turned_query @ turned_key.T
    np.testing.assert_allclose(scores[1:, 1:], scores[:-1, :-1], atol=1e-13)
    assert abs(scores[0] - scores[0, 0]).max() > 0.1
    np.testing.assert_allclose(np.linalg.norm(turned_query, axis=-1), np.linalg.norm(query[0, 0], axis=-1), rtol=1e-14)
    assert np.array_equal(turned_query[0], query[0, 0, 0])    # position 0 is not turned


# Errors


@TWINS
@pytest.mark.parametrize("layer, shape", [
    ("SinusoidalPositionalEncoding", (2, 10, 6)),
    ("LearnedPositionalEncoding", (2, 10, 6)),
    ("RotaryPositionalEncoding", (2, 3, 10, 6)),
])
def test_errors_name_the_argument(layer, shape, twin, as_input):
    build = getattr(twin.layers.positional_encoding, layer)
    with pytest.raises(ValueError, match="x has sequences of length 10, must be at most max_length, 9"):
        build(6, 9)(as_input(np.zeros(shape, "float32")))
    with pytest.raises(ValueError, match=r"x has shape .*, its last axis must be 8"):
        build(8, 10)(as_input(np.zeros(shape, "float32")))
    with pytest.raises(ValueError, match=rf"x has shape .*, must have {len(shape)} axes"):
        build(6, 10)(as_input(np.zeros(shape[1:], "float32")))
    with pytest.raises(TypeError, match="x has dtype float64, must be float32"):
        build(6, 10)(as_input(np.zeros(shape, "float64")))
    with pytest.raises(TypeError, match="x is a list"):
        build(6, 10)([])
    with pytest.raises(ValueError, match="max_length is 0"):
        build(6, 0)
    with pytest.raises(ValueError, match="d_(model|head) is 0"):
        build(0, 9)
    with pytest.raises(ValueError, match="dtype is 'float16'"):
        build(6, 9, dtype="float16")


@TWINS
def test_errors_of_rotation(twin, as_input):
    build = twin.layers.positional_encoding.RotaryPositionalEncoding
    with pytest.raises(ValueError, match="d_head is 5, must be even"):
        build(5, 9)
    with pytest.raises(ValueError, match="layout is 'neox', must be one of 'half', 'interleaved'"):
        build(6, 9, layout="neox")


@TWINS
def test_the_base_is_above_0(twin, as_input):
    build = twin.layers.positional_encoding.RotaryPositionalEncoding
    with pytest.raises(ValueError, match="base is 0, must be above 0"):
        build(6, 9, base=0)
    with pytest.raises(TypeError, match="base is 'e', must be a number"):
        build(6, 9, base="e")
