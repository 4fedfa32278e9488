"""Infix to postfix: the compiler, the stack machine, and the judge that uses both."""

import random
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_impl.text.arithmetic import check, evaluate_infix, evaluate_postfix, to_postfix
from numpy_impl.text.tasks import make_task

seeds = st.integers(0, 10**9).map(random.Random)


@pytest.mark.parametrize("source, target", [
    ("7", "7"),
    ("1+2*3", "1 2 3 * +"),
    ("(12+3)*4", "12 3 + 4 *"),
    ("8-3-2", "8 3 - 2 -"),
    ("8-(3-2)", "8 3 2 - -"),
    ("8/4/2", "8 4 / 2 /"),
    ("8/4*2", "8 4 / 2 *"),
    ("((5))", "5"),
    ("(1+2)*(3-4)/50", "1 2 + 3 4 - * 50 /"),
])
def test_known_translations(source, target):
    assert to_postfix(source) == target
    assert check(source, target)


@given(seeds)
def test_every_drawn_example_is_right_by_its_value(rng):
    task = make_task("arithmetic", max_operators=6, max_number=120)
    source = task.draw(rng)
    target = task.example(source, rng).target
    assert check(source, target)
    assert sorted(re.findall(r"\d+", source)) == sorted(re.findall(r"\d+", target))
    assert task.normalise(source) == source
    assert not check(source, target + " 1 +") and not check(source, target + " 1") and not check(source, target[:-1])


@given(seeds)
def test_drawn_parentheses_are_all_needed(rng):
    source = make_task("arithmetic").draw(rng)
    for opening in re.finditer(r"\(", source):
        depth, closing = 1, opening.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(source[closing], 0)
            closing += 1
        stripped = source[:opening.start()] + source[opening.end():closing - 1] + source[closing:]
        assert to_postfix(stripped) != to_postfix(source)


def test_drawn_trees_lean_to_both_sides():
    rng = random.Random(0)
    sources = [make_task("arithmetic").draw(rng) for _ in range(500)]
    for shape in (r"^\d+-\d+-\d+$", r"-\(\d+-\d+\)", r"/\(\d+/\d+\)", r"\(\d+\+\d+\)\*"):
        assert any(re.search(shape, source) for source in sources), shape


def test_lengths_stay_within_the_maxima_and_reach_them():
    task = make_task("arithmetic", max_operators=2, max_number=12)
    examples = [task.sample("train", random.Random(seed)) for seed in range(1500)]
    assert max(len(task.vocabulary.encode(example.source)) for example in examples) + 1 == task.max_source_length
    assert max(len(task.vocabulary.encode(example.target)) for example in examples) + 1 == task.max_target_length


@pytest.mark.parametrize("output", [
    "", " ", "1", "+", "1 +", "1 2", "1 2 + +", "1 2 3 +", "+ 1 2", "1+2", "1 2 x", "1 2 (", "1 2 **", "1 2 //",
    "-1 4 +", "1 0 /", "3 0 0 / *", "1.5 1.5 +", "3e0", "1_0", "٣", "9" * 5000, "<pad>", "1 2 - ",
])
def test_wrong_or_malformed_output_is_false(output):
    assert check("1+2", output) is False


def test_any_postfix_of_the_right_value_is_accepted():
    assert check("1+2", "2 1 +")
    assert check("1/3", "2 6 /")
    assert not check("1-2", "2 1 -")


def test_arithmetic_is_exact():
    assert evaluate_infix("1/3+1/3+1/3") == evaluate_postfix("1 3 / 1 3 / + 1 3 / +") == Fraction(1)
    assert not check("10/3", "33333333333333333 10000000000000000 /")


@pytest.mark.parametrize("source", ["", "1+", "(1", "1)", "()", "1(2)", "1 2", "2**3", "7//2", "-1", "01", "1,2", "a",
                                    "1_0", "٣+1", "1\n+2", "(" * 500 + "1" + ")" * 500, "1" + "+1" * 5000])
def test_malformed_source_is_refused(source):
    with pytest.raises(ValueError, match="expression is"):
        make_task("arithmetic").normalise(source)


@pytest.mark.parametrize("source", ["1/0", "1/(2-2)", "0/(0*3)"])
def test_division_by_zero_in_the_source_is_refused(source):
    with pytest.raises(ValueError, match="must not divide by zero"):
        make_task("arithmetic").normalise(source)


def test_typed_text_may_hold_blanks():
    assert make_task("arithmetic").normalise(" (12 + 3) * 4 ") == "(12+3)*4"


@pytest.mark.parametrize("options, error", [({"max_operators": 0}, ValueError), ({"max_number": 1.5}, TypeError)])
def test_bad_options_are_refused(options, error):
    with pytest.raises(error, match=next(iter(options))):
        make_task("arithmetic", **options)
