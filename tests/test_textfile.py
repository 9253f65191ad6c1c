"""Text files in the encodings that users have."""

import codecs
import io
import re
from pathlib import Path

import pytest

from steno.errors import DecodingError, LanguageModelError, StenoError
from steno.textfile import decoded, lines, read_text

TEXT = "The café\r\nਊ 10 Ċ\n\nlast 😀"
"""Some of its characters have the byte of a line feed in UTF-16."""


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", [TEXT, TEXT + "\n", "", "\n"])
def test_what_is_marked_is_read(coding: str, text: str) -> None:
    assert decoded(text.encode(coding), "t.txt", StenoError) == text
    assert list(lines(io.BytesIO(text.encode(coding)), "t.txt", StenoError)) == text.splitlines(keepends=True)


def test_utf_16_of_the_other_order() -> None:
    assert decoded(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "t.txt", StenoError) == TEXT


@pytest.mark.parametrize(
    ("data", "said", "remedy"),
    [
        (
            "good\nthe café\n".encode("latin-1"),
            "t.txt:2: is not UTF-8 text: byte 8 of the line is 0xe9",
            "WINDOWS-1252",
        ),
        ("the “cat”\n".encode("cp1252"), "t.txt:1: is not UTF-8 text: byte 5 of the line is 0x93", "WINDOWS-1252"),
        ("the cat\n".encode("utf-16-le"), "t.txt:1: is no text: it has bytes of zero", "iconv -f UTF-16LE"),
        (codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"\x00", "t.txt:2: is damaged", "UTF-8"),
        (codecs.BOM_UTF32_LE + "a".encode("utf-32-le"), "t.txt:1: is no text", "UTF-8"),
    ],
)
def test_what_is_not_is_told_with_its_line(data: bytes, said: str, remedy: str) -> None:
    with pytest.raises(LanguageModelError, match=re.escape(said)) as caught:
        decoded(data, "t.txt", LanguageModelError)
    assert remedy in caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DecodingError, match=r"none\.txt: cannot be read \(No such file"):
        read_text(tmp_path / "none.txt", DecodingError)
