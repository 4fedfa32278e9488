"""The vocabulary: ids, round trips, and errors that name the unknown symbol."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_impl.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["<en_us>", "<en>", "a", "b", "年", " "], "a test")


def test_special_symbols_have_the_first_ids():
    assert (Vocabulary.PAD, Vocabulary.BOS, Vocabulary.EOS) == (0, 1, 2)
    assert VOCABULARY.symbols[:3] == ("<pad>", "<bos>", "<eos>")
    assert len(VOCABULARY) == 9


def test_marks_of_several_characters_are_one_symbol():
    assert VOCABULARY.encode("<en_us>a年") == [3, 5, 7]
    assert VOCABULARY.encode("<en>b") == [4, 6]


def test_a_mark_that_begins_another_does_not_hide_it():
    assert Vocabulary(["ab", "abc", "c"], "a test").encode("abcabc") == [4, 4]


@given(st.lists(st.sampled_from(VOCABULARY.symbols[3:])))
def test_decode_undoes_encode(symbols):
    text = "".join(symbols)
    assert VOCABULARY.decode(VOCABULARY.encode(text)) == text
    assert VOCABULARY.decode([0, 1, *VOCABULARY.encode(text), 0, 2, 5, 5]) == text


@given(st.text(alphabet="ab年 ", max_size=5), st.characters(exclude_characters="ab年 ", exclude_categories=["Cs"]))
def test_unknown_symbol_is_named_with_code_and_position(known, unknown):
    with pytest.raises(ValueError) as error:
        VOCABULARY.encode(known + unknown + "a")
    assert f"{unknown!r} (U+{ord(unknown):04X}) at position {len(known)} " in str(error.value)
    assert "for a test" in str(error.value)


def test_position_counts_the_characters_of_marks():
    with pytest.raises(ValueError, match=r"'ß' \(U\+00DF\) at position 8 .*<en_us> <en>"):
        VOCABULARY.encode("<en_us>aß")


@pytest.mark.parametrize("text", ["<pad>", "<bos>", "<eos>"])
def test_special_symbols_cannot_be_typed(text):
    with pytest.raises(ValueError, match="'<' .* position 0"):
        VOCABULARY.encode(text)


def test_newline_is_an_unknown_symbol_too():
    with pytest.raises(ValueError, match=r"U\+000A"):
        VOCABULARY.encode("a\n")


def test_json_round_trip():
    read = Vocabulary.from_json(json.loads(json.dumps(VOCABULARY.to_json())))
    assert read == VOCABULARY and read.purpose == "a test"
    assert read.encode("<en_us>年") == VOCABULARY.encode("<en_us>年")
    assert read != Vocabulary(["a"], "a test")


@pytest.mark.parametrize("data", [None, [], {}, {"symbols": ["a"]}, {"symbols": "ab", "purpose": "a test"}])
def test_foreign_json_is_refused(data):
    with pytest.raises(ValueError, match="vocabulary is"):
        Vocabulary.from_json(data)


@pytest.mark.parametrize("symbols, error", [(["a", "a"], ValueError), (["<pad>"], ValueError), ([""], ValueError),
                                            ([7], TypeError)])
def test_bad_symbols_are_refused(symbols, error):
    with pytest.raises(error, match="symbol"):
        Vocabulary(symbols, "a test")


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="text is a bytes"):
        VOCABULARY.encode(b"a")
    for bad in (-1, 9):
        with pytest.raises(ValueError, match=f"ids holds {bad}, must be"):
            VOCABULARY.decode([bad])
