"""Text files of rows: their encoding, their delimiter, their quotes, and the line of every row."""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steno.data.corpora.base import Problem
from steno.errors import ManifestError

NOT_UTF8 = "the text is not UTF-8, or was damaged before"
_DELIMITERS = ("\t", ",", ";", "|")
_DAMAGE = re.compile("[\ud800-\udfff\ufffd]")
_MOST_LINES = 50
"""Lines that one quoted field may span; beyond it, the quote was never closed."""


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one row, and the line it begins on."""

    line: int
    fields: list[str]


def decode(data: bytes) -> str:
    """Text of UTF-8, or UTF-16 with its mark; a mark at the beginning goes.

    Bytes that are not UTF-8 become lone surrogates, so that :func:`is_text` tells which rows hold them.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")


def is_text(text: str) -> bool:
    """Whether it was valid text before :func:`decode`, and has no mark (U+FFFD) of an earlier wrong decoding."""
    return not _DAMAGE.search(text)


def read_text(path: Path) -> str:
    """The decoded text of a file.

    Raises:
        ManifestError: it cannot be read.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror or error}", "Check the path.") from error


def first_line(path: Path) -> str:
    """The first line of a file without its end, at most 64 KiB; empty if the file cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return ""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head[: len(head) // 2 * 2]
    return decode(head).split("\n", 1)[0].rstrip("\r")


def delimiter_of(header: str) -> str:
    """The delimiter that cuts a header into the most columns."""
    return max(_DELIMITERS, key=header.count)


def split(line: str, delimiter: str) -> list[str]:
    """The fields of one line of a table."""
    if delimiter == ",":
        try:
            return next(csv.reader([line], strict=True), [])
        except csv.Error:
            pass
    return [_unquote(field) for field in line.split(delimiter)]


def records(text: str, delimiter: str, path: Path) -> Iterator[Record | Problem]:
    """Every row of a table that is not blank, its header included.

    A field in quotes may hold the delimiter, doubled quotes and line ends, except between tabs and bars: there
    a stray quote is a character like any other (Common Voice has many), and one line is one row.
    """
    lines = text.split("\n")
    if delimiter in "\t|":
        yield from _plain_records(lines, delimiter, path)
    else:
        yield from _quoted_records(lines, delimiter, path)


def _plain_records(lines: list[str], delimiter: str, path: Path) -> Iterator[Record | Problem]:
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\r")
        if not is_text(line):
            yield Problem(f"{path}:{number}", NOT_UTF8)
        elif line.strip():
            yield Record(number, split(line, delimiter))


def _quoted_records(lines: list[str], delimiter: str, path: Path) -> Iterator[Record | Problem]:
    width = 0
    position = 0
    while position < len(lines):
        number, line = position + 1, lines[position]
        fields, span = _parse(lines, position, delimiter, width)
        position += span
        if fields is None:
            yield Problem(f"{path}:{number}", "a quote is opened and not closed, or stands inside a field")
        elif not all(map(is_text, fields)):
            yield Problem(f"{path}:{number}", NOT_UTF8)
        elif line.strip():
            width = width or len(fields)
            yield Record(number, fields)


def _parse(lines: list[str], start: int, delimiter: str, width: int) -> tuple[list[str] | None, int]:
    """Fields of the row that begins at a line, and the lines it takes; None if its quotes do not match."""
    if '"' not in lines[start]:
        return lines[start].rstrip("\r").split(delimiter), 1
    for span in range(1, min(_MOST_LINES, len(lines) - start) + 1):
        chunk = "\n".join(line.rstrip("\r") for line in lines[start : start + span])
        try:
            fields = next(csv.reader([chunk], delimiter=delimiter, strict=True))
        except csv.Error:
            continue
        # Rows that only look like one, because a stray quote here meets another there, have the wrong width.
        return (fields, span) if span == 1 or len(fields) == width else (None, 1)
    return None, 1


def _unquote(field: str) -> str:
    inner = field[1:-1]
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field
