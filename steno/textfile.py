"""Text files of a user's: UTF-8, or UTF-16 that says so; of anything else the line and the remedy are named."""

import codecs
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from steno.errors import StenoError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path, error: type[StenoError]) -> str:
    """A whole file.

    Raises:
        error: it cannot be read, or is not such text.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None
    return decoded(data, str(path), error)


def decoded(data: bytes, name: str, error: type[StenoError]) -> str:
    """The text of a file's bytes, without a byte order mark.

    Args:
        name: what the file is called in messages.

    Raises:
        error: they are no such text.
    """
    return "".join(lines(io.BytesIO(data), name, error))


def lines(stream: Iterable[bytes], name: str, error: type[StenoError]) -> Iterator[str]:
    """The lines of a file, with their ends, one by one; UTF-16 where it begins with that byte order mark.

    Raises:
        error: a line is no such text.
    """
    raw = iter(stream)
    first = next(raw, b"")
    if first.startswith(_UTF16):
        yield from _utf16(chain([first], raw), name, error)
        return
    if first := first.removeprefix(codecs.BOM_UTF8):
        yield _utf8(first, name, 1, error)
    for number, line in enumerate(raw, start=2):
        yield _utf8(line, name, number, error)


def _utf8(line: bytes, name: str, number: int, error: type[StenoError]) -> str:
    if b"\0" in line:
        raise error(
            f"{name}:{number}: is no text: it has bytes of zero",
            "If it is UTF-16 without a byte order mark: iconv -f UTF-16LE -t UTF-8 FILE > NEW",
        )
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(
            f"{name}:{number}: is not UTF-8 text: byte {problem.start + 1} of the line is {line[problem.start]:#04x}",
            "If it is Windows-1252 or Latin-1: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW",
        ) from None


def _utf16(raw: Iterable[bytes], name: str, error: type[StenoError]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-16")()
    number, left = 1, ""
    try:
        # What comes is cut at the byte of a line feed, not where lines end.
        for part in chain(raw, [None]):
            left += decoder.decode(part or b"", final=part is None)
            if "\0" in left:
                raise error(f"{name}:{number}: is no text", "Give text in UTF-8.")
            *whole, left = left.split("\n")
            for line in whole:
                yield line + "\n"
                number += 1
    except UnicodeDecodeError:
        raise error(f"{name}:{number}: is damaged: it begins as UTF-16 does", "Give text in UTF-8.") from None
    if left:
        yield left
