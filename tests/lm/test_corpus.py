"""Reading text: normalised, numbered, and refused where it is no text."""

import gzip
import io
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steno.errors import LanguageModelError
from steno.lm.corpus import BEGIN, END, SPECIALS, UNKNOWN, Corpus, read_corpus, tokenize
from steno.text import normalize

TEXT = "The cat's  CAT!\n\n  — \nthe dog; “the” crème\n"
WORDS = ["the cat's cat", "the dog the creme"]


def spelled(corpus: Corpus) -> list[str]:
    tokens = " ".join(corpus.vocabulary[token] for token in corpus.tokens)
    assert tokens.startswith("<s> ")
    assert tokens.endswith(" </s>")
    return tokens.removeprefix("<s> ").removesuffix(" </s>").split(" </s> <s> ")


@pytest.mark.parametrize("suffix", [".txt", ".gz", ".xz"])
def test_text_becomes_normalised_sentences(suffix: str, tmp_path: Path) -> None:
    pack = {".txt": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    path = tmp_path / f"text{suffix}"
    path.write_bytes(pack(TEXT.encode()))
    corpus = read_corpus([path])
    assert spelled(corpus) == WORDS
    assert corpus.sentences == 2
    assert corpus.words == 7
    assert corpus.vocabulary[: len(SPECIALS) + 1] == [*SPECIALS, "the"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_utf_16_that_says_so_is_read(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / ("text.txt" if pack is bytes else "text.gz")
    path.write_bytes(pack(TEXT.encode("utf-16")))
    assert spelled(read_corpus([path])) == WORDS


def test_standard_input_and_several_files_are_one_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"two\n")))
    assert spelled(read_corpus([tmp_path / "a.txt", Path("-")])) == ["one", "two"]


def test_characters_have_a_token_for_the_space(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    corpus = read_corpus([tmp_path / "a.txt"], units="characters")
    assert [line.replace(" ", "").replace("|", " ") for line in spelled(corpus)] == WORDS
    assert corpus.tokens.dtype == np.uint8


def test_an_alphabet_of_its_own_keeps_its_letters(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Die Tür\n", encoding="utf-8")
    assert spelled(read_corpus([tmp_path / "a.txt"], alphabet=" abcdeirtuüDT")) == ["Die Tür"]
    assert spelled(read_corpus([tmp_path / "a.txt"])) == ["die tur"]


def test_the_most_frequent_words_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("b a a\nc b a\nd\n", encoding="utf-8")
    corpus = read_corpus([tmp_path / "a.txt"], vocabulary=2)
    assert corpus.vocabulary == [*SPECIALS, "a", "b"]
    assert corpus.tokens.tolist() == [BEGIN, 4, 3, 3, END, BEGIN, UNKNOWN, 4, 3, END, BEGIN, UNKNOWN, END]


def test_blocks_are_one_text(monkeypatch: pytest.MonkeyPatch, novel: Path) -> None:
    whole = read_corpus([novel])
    monkeypatch.setattr("steno.lm.corpus._BLOCK", 50)
    cut = read_corpus([novel])
    np.testing.assert_array_equal(whole.tokens, cut.tokens)
    assert whole.vocabulary == cut.vocabulary


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_words_are_normalised_one_by_one_as_in_their_line(text: str) -> None:
    words = [word for raw in text.split() for word in normalize(raw).split()]
    assert words == normalize(text).split()
    if not any("|" in word for word in words):
        assert "".join(tokenize(text, "characters")).replace("|", " ") == normalize(text)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"t\.txt: has no words"),
        (b"\n \n--\n", r"t\.txt: has no words"),
        (b"good\nb\xe9d\n", r"t\.txt:2: is not UTF-8"),
        (b"good\nb\x00d\n", r"t\.txt:2: is no text"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=told):
        read_corpus([path])


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_damaged_archives_are_refused(pack: Callable[[bytes], bytes], novel: Path, tmp_path: Path) -> None:
    suffix = ".gz" if pack is gzip.compress else ".xz"
    path = tmp_path / f"t{suffix}"
    path.write_bytes(pack(novel.read_bytes())[:-500])
    with pytest.raises(LanguageModelError, match=r"is damaged after line \d+"):
        read_corpus([path])
    path.write_bytes(b"plain text\n")
    with pytest.raises(LanguageModelError, match="is damaged after line 0"):
        read_corpus([path])


def test_reserved_words_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\na <s>\n", encoding="utf-8")
    with pytest.raises(LanguageModelError, match=r"a\.txt:2: the text has <s>"):
        read_corpus([tmp_path / "a.txt"], alphabet=" <>as")
    (tmp_path / "b.txt").write_text("a|b\n", encoding="utf-8")
    with pytest.raises(LanguageModelError, match=r"b\.txt:1: the text has \|"):
        read_corpus([tmp_path / "b.txt"], units="characters", alphabet="|ab")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.txt", tmp_path):
        with pytest.raises(LanguageModelError, match=str(path)):
            read_corpus([path])
