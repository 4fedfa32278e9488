"""`check`: any pair of NumPy functions against derivatives that are measured."""

import textwrap

import numpy as np
import pytest

from parity_tests.__main__ import main
from parity_tests.harness.doctor.check import check
from parity_tests.harness.errors import UserError

FILE = """
import numpy as np

def squash(x, w):
    y = np.tanh(x @ w)
    return y, (x, w, y)

def squash_backward(d_y, cache):
    x, w, y = cache
    d = d_y * (1 - y * y)
    return d @ w.T, x.T @ d

def example_inputs():
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal((3, 4)), "w": rng.standard_normal((4, 5))}
"""


def layer(x, w):
    y = np.tanh(x @ w)
    return y, (x, w, y)


def layer_backward(d_y, cache):
    x, w, y = cache
    d = d_y * (1 - y * y)
    return d @ w.T, x.T @ d


@pytest.fixture
def inputs(rng):
    return {"x": rng.standard_normal((3, 4)), "w": rng.standard_normal((4, 5))}


@pytest.fixture
def write(tmp_path):
    """A function that writes a file and returns its path."""
    def write_file(source, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path
    return write_file


def notes(verdict):
    return "\n".join(verdict.notes)


def test_an_analytic_function_by_complex_step(inputs):
    verdict = check(layer, layer_backward, inputs)
    assert verdict.passed and "complex step" in notes(verdict) and "adjoint identity" in notes(verdict)
    assert all(row.error < 1e-12 for row in verdict.rows)


def test_inputs_as_a_tuple_and_a_backward_pass_that_takes_the_inputs(inputs):
    assert check(lambda x, w: x @ w, lambda d, x, w: (d @ w.T, x.T @ d), tuple(inputs.values())).passed


def test_a_function_that_is_not_analytic_by_central_differences(rng):
    verdict = check(lambda x: abs(x) ** 1.5, lambda d, x: d * 1.5 * abs(x) ** 0.5 * np.sign(x),
                    {"x": rng.standard_normal(6)})
    assert verdict.passed and "central differences" in notes(verdict)


def test_a_function_that_takes_no_complex_numbers(rng):
    from math import tanh

    def forward(x):
        return np.array([tanh(value) for value in x])
    verdict = check(forward, lambda d, x: d * (1 - np.tanh(x) ** 2), {"x": rng.standard_normal(5)})
    assert verdict.passed and "central differences" in notes(verdict)


@pytest.mark.parametrize("slope_at_zero", [0.0, 1.0])
def test_a_kink_is_named_and_not_judged(slope_at_zero):
    verdict = check(lambda x: np.maximum(x, 0), lambda d, x: d * np.where(x == 0, slope_at_zero, x > 0),
                    (np.array([1.0, -2.0, 0.0, 3.0]),))
    assert verdict.passed and "kink" in notes(verdict) and "(2,)" in notes(verdict)


def test_what_is_wrong_beside_a_kink_is_wrong():
    verdict = check(lambda x: np.maximum(x, 0), lambda d, x: d * (x < 0), (np.array([1.0, -2.0, 0.0, 3.0]),))
    assert not verdict.passed and verdict.first_wrong.name == "d_x"


def test_integers_get_no_gradient(rng):
    def backward(d, ids, table):
        d_table = np.zeros_like(table)
        np.add.at(d_table, ids, d)
        return None, d_table
    assert check(lambda ids, table: table[ids], backward,
                 {"ids": np.array([0, 1, 1, 2]), "table": rng.standard_normal((4, 3))}).passed


def test_several_outputs(rng):
    def forward(x):
        return x.sum(axis=0), x * x, (x,)

    def backward(d_total, d_square, cache):
        x, = cache
        return np.broadcast_to(d_total, x.shape) + d_square * 2 * x
    assert check(forward, backward, {"x": rng.standard_normal((3, 4))}).passed


def test_one_factor_and_one_line(inputs):
    def backward(d_y, cache):
        x, w, y = cache
        d = d_y * (1 - y * y)
        return d @ w.T, x.T @ d / len(x)
    verdict = check(layer, backward, inputs)
    text = str(verdict)
    assert not verdict.passed and "  right: d_x\n  wrong: d_w" in text
    assert "1 / x.shape[0]" in text and "Look at line" in text


def test_an_index_that_occurs_twice(rng):
    def backward(d, ids, table):
        d_table = np.zeros_like(table)
        d_table[ids] += d
        return d_table
    verdict = check(lambda ids, table: table[ids], backward,
                    {"ids": np.array([0, 1, 1, 2]), "table": rng.standard_normal((4, 3))})
    assert not verdict.passed and "an index that occurs several times" in str(verdict)


# Reasons: what is told about wrong gradients of somebody's own functions

def swish(x, beta):
    gate = 1 / (1 + np.exp(-beta * x))
    y = x * gate
    return y, (x, beta, gate)


def swish_backward(d_y, cache):
    x, beta, gate = cache
    d_z = d_y * x * gate * (1 - gate)
    return d_z * beta, (d_z * x).sum(0)


def highway(x, w, v):
    h, t = np.tanh(x @ w), 1 / (1 + np.exp(-x @ v))
    y = t * h + (1 - t) * x
    return y, (x, w, v, h, t)


def highway_backward(d_y, cache):
    x, w, v, h, t = cache
    d_h = d_y * t
    d_t = d_y * h
    d_a, d_b = d_h * (1 - h * h), d_t * t * (1 - t)
    return d_a @ w.T + d_b @ v.T + d_y * (1 - t), x.T @ d_a, x.T @ d_b


def attention(x, wq, wk, wv):
    q, k, v = x @ wq, x @ wk, x @ wv
    s = q @ k.T * 0.5
    e = np.exp(s)
    p = e / e.sum(-1, keepdims=True)
    return p @ v, (x, wq, wk, wv, q, k, v, p)


def attention_backward(d_y, cache):
    x, wq, wk, wv, q, k, v, p = cache
    d_v = p.T @ d_y
    d_p = d_y @ v.T
    d_s = p * (d_p - (d_p * p).sum(-1, keepdims=True)) * 0.5
    d_q, d_k = d_s @ k, d_s.T @ q
    return d_q @ wq.T + d_k @ wk.T, x.T @ d_q, x.T @ d_k, x.T @ d_v


def unit(x):
    n = np.sqrt((x * x).sum(-1, keepdims=True))
    return x / n, (x, n)


def distances(x):
    d = x[:, None] - x[None]
    return (d * d).sum(-1), (d,)


def wave(x):
    return x * np.sin(x)


def two(x):
    return np.sin(x), x * x, (x,)


def cumulated(x):
    return np.cumsum(x, axis=1)


def gathered(x, index):
    return np.take_along_axis(x, index, 1)


def gathered_backward(d_y, x, index):
    d_x = np.zeros_like(x)
    np.put_along_axis(d_x, index, d_y, 1)
    return d_x


def windows(x, w):
    return np.array([(x[i:i + len(w)] * w).sum() for i in range(len(x) - len(w) + 1)])


def windows_backward(d_y, x, w):
    d_x, d_w = np.zeros_like(x), np.zeros_like(w)
    for i in range(len(d_y)):
        d_x[i:i + len(w)] = d_y[i] * w
        d_w += d_y[i] * x[i:i + len(w)]
    return d_x, d_w


def bend(x, a):
    low = a * (np.exp(x) - 1)
    y = np.where(x > 0, x, low)
    return y, (x, low)


def bend_backward(d_y, cache):
    x, low = cache
    return np.where(x > 0, d_y, d_y * np.cos(low)), (d_y * np.where(x > 0, 0, np.exp(x) - 1)).sum()


MISSING = "lacks what comes back through "
REASONS: dict = {
    "one of two uses": (swish, swish_backward, {"x": (2, 4), "beta": (4,)}, [
        "d_x " + MISSING + "`x * gate` (line", "exactly `d_y * gate`", "used twice"]),
    "a use of a local": (highway, highway_backward, {"x": (4, 3), "w": (3, 3), "v": (3, 3)}, [
        "First wrong tensor: d_t", "d_t " + MISSING + "`1 - t`", "`-(d_y * x)`"]),
    "a way through a matrix": (attention, attention_backward, {"x": (4, 3), "wq": (3, 2), "wk": (3, 2), "wv": (3, 5)}, [
        "First wrong tensor: d_x", MISSING + "`x @ wv`", "exactly `d_v @ wv.T`"]),
    "a norm as a constant": (unit, lambda d_y, cache: d_y / cache[1], {"x": (3, 5)}, [
        MISSING + "`x * x`", "2 uses", "exactly what comes back through `x / n`"]),
    "one of two uses in one expression": (
        distances, lambda d_y, cache: (2 * d_y[:, :, None] * cache[0]).sum(1), {"x": (4, 3)}, [MISSING + "`x[None]`"]),
    "a way with the wrong sign": (wave, lambda d_y, x: d_y * (np.sin(x) - x * np.cos(x)), {"x": (3, 4)}, [
        "In d_x, what comes back through `np.sin(x)`", "has the wrong sign"]),
    "an output that is forgotten": (two, lambda d_a, d_b, cache: d_a * np.cos(cache[0]), {"x": (3, 4)}, [
        "nothing of what comes back from output 2, whose gradient is"]),
    "the diagonal alone": (lambda x: np.cumprod(x), lambda d_y, x: d_y * np.cumprod(x) / x, {"x": (6,)}, [
        "only how each output moves with the input at the same place"]),
    "the Jacobian not transposed": (cumulated, lambda d_y, x: np.cumsum(d_y, axis=1), {"x": (2, 5)}, [
        "the Jacobian times the vector"]),
    "nothing of the upstream gradient": (np.sin, lambda d_y, x: np.cos(x), {"x": (2, 5)}, ["`d_y` is not used"]),
    "not linear": (np.sin, lambda d_y, x: d_y ** 2 * np.cos(x), {"x": (2, 5)}, ["not linear in the upstream gradient"]),
    "axes that must not mix": (
        np.sin, lambda d_y, x: d_y * np.cos(x) - d_y.mean(0) * np.sin(x), {"x": (4, 5)},
        ["mixes what lies along axis 0"]),
    "indices that repeat": (gathered, gathered_backward, {"x": (3, 5), "index": np.array([[0, 0, 1]] * 3)}, [
        "Look at line", "an index that occurs several times"]),
    "slices that overlap": (windows, windows_backward, {"x": (8,), "w": (3,)}, ["`=` and `+=` are exchanged"]),
    "one side of a bend": (bend, bend_backward, {"x": (5, 6), "a": np.array(1.3)}, ["wrong only where x is negative"]),
    "a bias that is not summed": (lambda x, b: x + b, lambda d_y, x, b: (d_y, d_y), {"x": (2, 3, 4), "b": (4,)}, [
        "sum over the axes (0, 1)"]),
}


@pytest.mark.parametrize("what", REASONS)
def test_the_reason_is_told(what, rng):
    forward, backward, shapes, told = REASONS[what]
    inputs = {name: value if isinstance(value, np.ndarray) else rng.standard_normal(value)
              for name, value in shapes.items()}
    verdict = check(forward, backward, inputs if len(inputs) > 1 else tuple(inputs.values()))
    assert not verdict.passed
    for text in told:
        assert text in str(verdict)


def rise(x):
    y = np.exp(x) - 1
    return y, (y,)


def rise_backward(d_y, cache):
    return d_y * cache[0]


def test_the_forward_pass_stays_as_it_is(rng):
    """An edit may not change what is computed: without the `- 1` the gradient would be right, and y wrong."""
    verdict = check(rise, rise_backward, (rng.standard_normal((3, 4)),))
    assert "np.exp" not in "".join(map(str, verdict.diagnosis))


def test_a_name_that_means_something_to_us_may_mean_anything(rng):
    inputs = {name: rng.standard_normal((4, 3)) for name in ("p", "targets", "mask", "keep", "scale")}
    verdict = check(lambda p, targets, mask, keep, scale: p * targets * mask * keep * scale,
                    lambda d, p, targets, mask, keep, scale: (2 * d, d, d, d, d), inputs)
    assert "wrong: d_p, d_targets, d_mask, d_keep and d_scale" in str(verdict)


def turn(x, angle):
    half = x.shape[-1] // 2
    a, b = x[:, :half], x[:, half:]
    c, s = np.cos(angle), np.sin(angle)
    return np.concatenate([a * c - b * s, a * s + b * c], 1), (a, b, c, s)


def turn_backward(d_y, cache):
    a, b, c, s = cache
    half = a.shape[-1]
    d_a, d_b = d_y[:, :half], d_y[:, half:]
    d_angle = (d_a * (-a * s - b * c) + d_b * (a * c - b * s)).sum(0)
    return np.concatenate([d_a * c - d_b * s, d_a * s + d_b * c], 1), d_angle


def test_a_local_with_a_name_of_the_forward_pass_may_be_another_thing(rng):
    verdict = check(turn, turn_backward, {"x": rng.standard_normal((3, 4)), "angle": rng.standard_normal(2)})
    assert verdict.first_wrong.name == "d_x" and "the Jacobian times the vector" in str(verdict)


def test_the_last_resort_is_a_place(rng):
    verdict = check(np.sin, lambda d, x: d * (np.cos(x) + x ** 4), (rng.standard_normal(7),))
    assert "is wrong most at" in str(verdict) and "must be" in str(verdict)


def test_a_given_upstream_gradient_and_tolerance(rng):
    inputs = {"x": rng.standard_normal(3)}
    nearly = lambda d, x: d * np.cos(x) * (1 + 1e-6)    # noqa: E731
    assert not check(np.sin, nearly, inputs.values() and tuple(inputs.values())).passed
    assert check(np.sin, nearly, tuple(inputs.values()), tolerance=1e-5, upstream=np.ones(3)).passed


@pytest.mark.parametrize("backward, text", [
    (lambda d_y: d_y, "backward takes 1 arguments, must take 2 (backward(d_y, cache)) or 4 (backward(d_y, *inputs))"),
    (lambda *arguments: arguments, "say cache=True or False"),
    (lambda d_y, cache: None, "Returned None, must return d_x, d_w"),
    (lambda d_y, cache: (d_y, d_y), "has the shape (3, 5), must have (3, 4)"),
    (lambda d_y, cache: 1 / 0, "ZeroDivisionError"),
    (lambda d_y, cache: (cache[0] * np.nan, cache[1]), "NaN at 12 of 12"),
])
def test_the_trouble_is_told(inputs, backward, text):
    def forward(x, w):
        return layer(x, w)[0], (x, w)
    verdict = check(forward, backward, inputs)
    assert not verdict.passed and text in str(verdict)


@pytest.mark.parametrize("inputs, text", [
    ((np.array([1, 2]),), "no floating-point array"),
    ((np.ones((100, 100)),), "at most 4000"),
])
def test_inputs_that_will_not_do(inputs, text):
    assert text in str(check(np.sin, lambda d, x: d * np.cos(x), inputs))


@pytest.mark.parametrize("arguments, text", [
    ((np.sin, None, (np.ones(2),)), "two functions"),
    ((np.sin, np.cos), "inputs: were not given"),
    ((np.sin, np.cos, 3), "inputs: were int"),
])
def test_mistakes_in_the_call(arguments, text):
    with pytest.raises(UserError, match=text):
        check(*arguments)


def test_the_command_with_example_inputs(write, capsys):
    path = write(FILE)
    assert main(["check", f"{path}:squash"]) == 0
    assert capsys.readouterr().out.startswith("squash: passed. 2 arrays compared")


def test_the_command_with_a_wrong_backward_pass(write, capsys):
    path = write(FILE.replace("(1 - y * y)", "(1 + y * y)"))
    assert main(["check", f"{path}:squash", "--answer"]) == 1
    output = capsys.readouterr().out
    assert "Look at line 10: the operator in `1 + y * y` is wrong" in output and "Answer: line 10" in output


def test_the_command_with_inputs_from_a_file(write, tmp_path, inputs):
    path = write(FILE.partition("def example_inputs")[0].replace("squash_backward", "back"))
    np.savez(tmp_path / "inputs.npz", **inputs)
    assert main(["check", f"{path}:squash", "--backward", "back", "--inputs", str(tmp_path / "inputs.npz")]) == 0


def test_a_number_of_an_npz_file_is_a_constant(write, tmp_path):
    path = write("""
        def scaled(x, scale):
            return x * scale, scale
        def scaled_backward(d_y, scale):
            return d_y * scale
    """)
    np.savez(tmp_path / "inputs.npz", x=np.ones(3), scale=2.5)
    assert main(["check", f"{path}:scaled", "--inputs", str(tmp_path / "inputs.npz")]) == 0


def test_the_command_with_something_missing(write, tmp_path, capsys):
    path = write(FILE.partition("def example_inputs")[0])
    assert main(["check", f"{path}:squash"]) == 1
    assert "There is no function example_inputs()" in capsys.readouterr().out
    assert main(["check", f"{path}:nothing"]) == 1
    assert "There is no function nothing" in capsys.readouterr().out
    assert main(["check", str(path)]) == 2
    assert main(["check", f"{path}:squash", "--inputs", str(path)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "must be FILE:FUNCTION" in errors[0] and "must be an .npz file" in errors[1]
