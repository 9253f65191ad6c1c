"""Recordings with a text of the same name beside each, in a folder or any folder below it."""

from collections.abc import Iterator
from pathlib import Path

from steno.data.corpora.base import Columns, Format, Problem, Row, has_pairs, pairs
from steno.data.corpora.delimited import NOT_UTF8, is_text, read_text
from steno.errors import ManifestError


def _recognises(source: Path) -> bool:
    return source.is_dir() and has_pairs(source, _stems)


def _stems(transcript: Path) -> list[str]:
    return [transcript.stem] if transcript.suffix.lower() == ".txt" else []


def _read(source: Path, columns: Columns) -> Iterator[Row | Problem]:
    return pairs(source, _stems, _row)


def _row(recording: Path, transcript: Path) -> Iterator[Row | Problem]:
    try:
        text = read_text(transcript)
    except ManifestError as error:
        yield Problem(str(transcript), error.message)
        return
    if is_text(text):
        yield Row(recording.stem, recording, text, str(transcript))
    else:
        yield Problem(str(transcript), NOT_UTF8)


FORMAT = Format(
    name="folder",
    accepts="a folder of recordings, each with a text file of the same name beside it (a.wav, a.txt)",
    recognises=_recognises,
    read=_read,
)
