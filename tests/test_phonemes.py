"""What words sound like: by espeak-ng, as labels, and in a model folder's file."""

from pathlib import Path

import pytest

from steno.errors import ModelError, StenoError
from steno.phonemes import Pronunciations, pronounce, read_lexicon, symbols_of, write_pronunciations

SOUNDS = {"cat": ("k", "æ", "t"), "act": ("æ", "k", "t"), "a": ("ə",)}


def test_words_that_sound_alike_are_pronounced_alike() -> None:
    pytest.importorskip("espeakng_loader")
    found = pronounce(["knight", "night", "through", "a", "the", "don't"], "en-us")
    assert found["knight"] == found["night"] == ("n", "aɪ", "t")
    assert found["through"] == ("θ", "ɹ", "uː")
    assert found["a"] == ("ə",)
    assert found["don't"] == ("d", "oʊ", "n", "t")
    assert not any(mark in phone for heard in found.values() for phone in heard for mark in "ˈˌ_ ")


def test_another_language_keeps_its_own_phonemes() -> None:
    pytest.importorskip("espeakng_loader")
    assert pronounce(["nacht"], "de")["nacht"] == ("n", "a", "x", "t")


def test_what_cannot_be_said_is_left_out() -> None:
    pytest.importorskip("espeakng_loader")
    assert set(pronounce(["cat", "'"], "en-us")) == {"cat"}
    with pytest.raises(StenoError, match="nobody"):
        pronounce(["cat"], "nobody")


def test_labels_count_from_one_and_leave_out_words_with_other_phonemes() -> None:
    symbols = symbols_of({word: SOUNDS[word] for word in ("cat", "act")})
    assert symbols == ("k", "t", "æ")
    sounds = Pronunciations(SOUNDS, symbols)
    assert sounds.spelled(["cat"]) == [1, 3, 2]
    assert sounds.spelled(["act"]) == [3, 1, 2]
    assert sounds.spelled(["a"]) is None


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "sounds.gz"
    write_pronunciations(path, SOUNDS)
    written = path.read_bytes()
    write_pronunciations(path, dict(reversed(SOUNDS.items())))
    assert path.read_bytes() == written
    sounds = Pronunciations(path, ("k", "t", "æ"))
    assert sounds.spelled(["cat", "act"]) == [1, 3, 2, 3, 1, 2]
    assert sounds.spelled([]) == []
    assert sounds.spelled(["cat", "dog"]) is None
    assert sounds.spelled(["a"]) is None  # a phoneme that the model does not write


@pytest.mark.parametrize("content", [b"no gzip", b"\x1f\x8b\x08\x00"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "sounds.gz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"sounds\.gz"):
        Pronunciations(path, ("k",)).spelled(["cat"])


def test_a_lexicon_has_a_word_a_line(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("\ufeffcat\tk æ t\n\nact \tæ  k t\n", encoding="utf-8")
    assert read_lexicon(path, ("k", "t", "æ")) == {"cat": SOUNDS["cat"], "act": SOUNDS["act"]}


@pytest.mark.parametrize(
    ("line", "said"),
    [("cat k æ t", "tab"), ("cat\t", "tab"), ("\tk æ", "tab"), ("cat\tk AE1 t", "writes no AE1")],
)
def test_a_lexicons_bad_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text(f"act\tæ k t\n{line}\n", encoding="utf-8")
    with pytest.raises(StenoError, match=rf"own\.tsv:2: .*{said}"):
        read_lexicon(path, ("k", "t", "æ"))


def test_a_lexicon_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.tsv").write_bytes(b"\xff\xfe\x00")
    for name in ("own.tsv", "none.tsv"):
        with pytest.raises(StenoError, match=name):
            read_lexicon(tmp_path / name, ("k",))
