"""LibriSpeech's layout: ``SPEAKER/CHAPTER/ID.flac`` beside ``SPEAKER-CHAPTER.trans.txt`` with rows ``ID TEXT``.

Any part of the tree will do, and any coding of the recordings.
"""

from collections.abc import Iterator
from pathlib import Path

from steno.data.corpora.base import (
    NO_RECORDING,
    NO_TRANSCRIPT,
    Format,
    Problem,
    Row,
    Wanted,
    recordings,
    walk,
)
from steno.data.corpora.delimited import NOT_UTF8, is_text, read_text
from steno.errors import ManifestError

_ENDING = ".trans.txt"


def _recognises(source: Path) -> bool:
    return source.is_dir() and any(name.endswith(_ENDING) for _, names in walk(source) for name in names)


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    for folder, names in walk(source):
        found, problems = recordings(folder, names)
        yield from problems
        transcripts = [name for name in names if name.endswith(_ENDING)]
        for name in transcripts:
            yield from _chapter(folder / name, found)
        for path in found.values():
            yield Problem(str(path), NO_TRANSCRIPT)


def _chapter(transcript: Path, found: dict[str, Path]) -> Iterator[Row | Problem]:
    """Rows of one chapter; the recordings that they name are taken out of ``found``."""
    try:
        text_of_chapter = read_text(transcript)
    except ManifestError as error:
        yield Problem(str(transcript), error.message)
        return
    for number, line in enumerate(text_of_chapter.split("\n"), start=1):
        identifier, _, text = line.strip().partition(" ")
        where = f"{transcript}:{number}"
        if not identifier:
            continue
        recording = found.pop(identifier, None)
        if recording is None:
            yield Problem(where, f"{identifier}: {NO_RECORDING}")
        elif not is_text(text):
            yield Problem(where, f"{identifier}: {NOT_UTF8}")
        else:
            yield Row(identifier, recording, text, where, _speaker(transcript, identifier))


def _speaker(transcript: Path, identifier: str) -> str:
    """The speaker's folder, if the path is LibriSpeech's; else what the id begins with."""
    folder = transcript.resolve().parent
    if transcript.name == f"{folder.parent.name}-{folder.name}{_ENDING}":
        return folder.parent.name
    return identifier.split("-", 1)[0]


FORMAT = Format(
    name="librispeech",
    accepts="a LibriSpeech tree or a part of it (SPEAKER/CHAPTER/ID.flac beside SPEAKER-CHAPTER.trans.txt)",
    recognises=_recognises,
    read=_read,
    own_ids=True,
)
