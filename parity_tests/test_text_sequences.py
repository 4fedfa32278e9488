"""Copy, reverse and sort."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_impl.text.tasks import make_task

RANDOM = random.Random(0)


@given(st.text(alphabet="abcdefghij", min_size=1, max_size=12))
def test_targets(source):
    assert make_task("copy").example(source, RANDOM).target == source
    reverse = make_task("reverse").example(source, RANDOM).target
    assert [reverse[-1 - i] for i in range(len(source))] == list(source)
    ordered = make_task("sort").example(source, RANDOM).target
    assert all(a <= b for a, b in zip(ordered, ordered[1:]))
    assert all(ordered.count(symbol) == source.count(symbol) for symbol in "abcdefghij")


@pytest.mark.parametrize("name", ["copy", "reverse", "sort"])
def test_drawn_sources_obey_the_options(name):
    task = make_task(name, alphabet="XY7", min_length=2, max_length=5)
    sources = [task.draw(RANDOM) for _ in range(300)]
    assert {len(source) for source in sources} == {2, 3, 4, 5}
    assert set("".join(sources)) == set("XY7")
    assert task.max_source_length == task.max_target_length == 6


def test_typed_text():
    task = make_task("sort")
    assert task.vocabulary.decode(task.encode_source(" b a\tc ")) == "bac"
    with pytest.raises(ValueError, match=r"'x' \(U\+0078\)"):
        task.encode_source("abx")
    with pytest.raises(ValueError, match="text is empty"):
        task.encode_source("  ")
    with pytest.raises(ValueError, match="13 symbols long, must have at most 12"):
        task.encode_source("abcabcabcabca")


@pytest.mark.parametrize("options, words", [
    ({"alphabet": "aba"}, "alphabet is 'aba'"),
    ({"alphabet": "a"}, "alphabet is 'a'"),
    ({"alphabet": "a b"}, "alphabet is 'a b'"),
    ({"min_length": 0}, "min_length..max_length is 0..12"),
    ({"min_length": 5, "max_length": 4}, "min_length..max_length is 5..4"),
])
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        make_task("copy", **options)
