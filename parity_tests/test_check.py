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


def test_the_command_with_something_missing(write, tmp_path, capsys):
    path = write(FILE.partition("def example_inputs")[0])
    assert main(["check", f"{path}:squash"]) == 1
    assert "there is no function example_inputs()" in capsys.readouterr().out
    assert main(["check", f"{path}:nothing"]) == 1
    assert "there is no function nothing" in capsys.readouterr().out
    assert main(["check", str(path)]) == 2
    assert main(["check", f"{path}:squash", "--inputs", str(path)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "must be FILE:FUNCTION" in errors[0] and "must be a .npz file" in errors[1]
