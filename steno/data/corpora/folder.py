"""Recordings with a text of the same name beside each, in a folder or any folder below it."""

from collections.abc import Iterator
from pathlib import Path

from steno.data.corpora.base import Format, Problem, Row, Wanted, has_pairs, pairs
from steno.data.corpora.delimited import NOT_UTF8, is_text, read_text
from steno.data.corpora.labels import is_track
from steno.errors import ManifestError


def _recognises(source: Path) -> bool:
    return source.is_dir() and has_pairs(source, _stems, _fits)


def _stems(transcript: Path) -> list[str]:
    return [transcript.stem] if transcript.suffix.lower() == ".txt" else []


def _fits(transcript: Path) -> bool:
    try:
        return not is_track(read_text(transcript))
    except ManifestError:
        return True  # which is told when it is read


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    return pairs(source, _stems, _row)


def _row(recording: Path, transcript: Path) -> Iterator[Row | Problem]:
    try:
        text = read_text(transcript)
    except ManifestError as error:
        yield Problem(str(transcript), error.message)
        return
    if not is_text(text):
        yield Problem(str(transcript), NOT_UTF8)
    elif is_track(text):
        yield Problem(str(transcript), "is not one text, but labels with their times, which --format labels takes")
    else:
        yield Row(recording.stem, recording, text, str(transcript))


FORMAT = Format(
    name="folder",
    accepts="a folder of recordings, each with a text file of the same name beside it (a.wav, a.txt)",
    recognises=_recognises,
    read=_read,
)
