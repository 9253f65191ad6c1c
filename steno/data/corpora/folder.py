"""Recordings with a text of the same name beside each, in a folder or any folder below it."""

from collections.abc import Iterator
from pathlib import Path

from steno.data.corpora.base import (
    NO_RECORDING,
    NO_TRANSCRIPT,
    Columns,
    Format,
    Problem,
    Row,
    recordings,
    walk,
)
from steno.data.corpora.delimited import NOT_UTF8, is_text, read_text
from steno.errors import ManifestError


def _recognises(source: Path) -> bool:
    return source.is_dir() and any(
        recordings(folder, names)[0].keys() & _texts(folder, names).keys() for folder, names in walk(source)
    )


def _texts(folder: Path, names: list[str]) -> dict[str, Path]:
    return {Path(name).stem: folder / name for name in names if name.lower().endswith(".txt")}


def _read(source: Path, columns: Columns) -> Iterator[Row | Problem]:
    for folder, names in walk(source):
        found, problems = recordings(folder, names)
        yield from problems
        texts = _texts(folder, names)
        for stem, path in sorted(found.items()):
            if stem in texts:
                yield _row(stem, path, texts[stem])
            else:
                yield Problem(str(path), NO_TRANSCRIPT)
        for stem in sorted(texts.keys() - found.keys()):
            yield Problem(str(texts[stem]), NO_RECORDING)


def _row(stem: str, recording: Path, transcript: Path) -> Row | Problem:
    try:
        text = read_text(transcript)
    except ManifestError as error:
        return Problem(str(transcript), error.message)
    if not is_text(text):
        return Problem(str(transcript), NOT_UTF8)
    return Row(stem, recording, text, str(transcript))


FORMAT = Format(
    name="folder",
    accepts="a folder of recordings, each with a text file of the same name beside it (a.wav, a.txt)",
    recognises=_recognises,
    read=_read,
)
