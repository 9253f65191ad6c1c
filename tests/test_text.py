"""Normalisation, the alphabet, and what CTC needs to spell a transcript."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steno.decoding.greedy import collapse
from steno.errors import TextError
from steno.text import BLANK, ENGLISH, CharTokenizer, TokenizerConfig, normalize, required_frames, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HELLO WORLD", "hello world"),
        ("  Don’t —stop!  ", "don't stop"),
        ("`t ´twas ‘so’", "'t 'twas 'so'"),
        ("Café naïve Ærø", "cafe naive ærø"),
        ("well-known\tnew\nline", "well known new line"),
        ("q\u0303 İx", "q ix"),
        ("ﬁne １２", "fine 12"),
        ("$5 & 10%", "5 10"),
        ("привет", "привет"),
        ("", ""),
    ],
)
def test_normalize_to_english(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_normalize_to_other_alphabets() -> None:
    assert normalize("Über Häuser", " abcdefghijklmnopqrstuvwxyzäöü") == "über häuser"
    assert normalize("Up DOWN", "UpDOWN ") == "Up DOWN"
    assert normalize("wait-what?", "abcdefghijklmnopqrstuvwxyz -") == "wait-what"


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(st.text(alphabet=ENGLISH, max_size=60))
def test_labels_spell_the_text(text: str) -> None:
    tokenizer = CharTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert BLANK not in tokenizer.encode(text)


def test_tokens_and_labels() -> None:
    tokenizer = CharTokenizer("ab ")
    assert tokenizer.tokens == ["<blank>", "a", "b", " "]
    assert len(tokenizer) == 4
    assert tokenizer.encode("b a") == [2, 3, 1]
    assert tokenizer.decode([0, 2, 0, 1]) == "ba"
    assert tokenizer.unknown("abcab9 ") == ["9", "c"]


def test_a_character_outside_the_alphabet_is_named_with_a_remedy() -> None:
    with pytest.raises(TextError) as raised:
        CharTokenizer().encode("room 101")
    assert "'0' '1'" in raised.value.message
    assert "steno data check" in raised.value.hint


@pytest.mark.parametrize(("alphabet", "said"), [("", "empty"), ("abca", "repeats")])
def test_alphabets_that_cannot_be(alphabet: str, said: str) -> None:
    with pytest.raises(TextError, match=said):
        CharTokenizer(alphabet)
    with pytest.raises(ValueError, match=said):
        TokenizerConfig(alphabet=alphabet)
    assert len(TokenizerConfig(alphabet="xyz").build()) == 4


@given(st.lists(st.integers(1, 3), max_size=20))
def test_required_frames_are_enough_and_none_too_many(labels: list[int]) -> None:
    path: list[int] = []
    for label in labels:
        path += [BLANK, label] if path and path[-1] == label else [label]
    assert len(path) == required_frames(labels)
    assert collapse(np.array(path, dtype=np.int64)) == labels


def test_words() -> None:
    assert words("  a b\t c\n") == ["a", "b", "c"]
    assert words("") == []
    assert words(" \n") == []
