"""What every reader of a corpus shares: its rows, its problems, and the walk through a folder."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from steno import audio


@dataclass(frozen=True, slots=True)
class Row:
    """One recording and its transcript as the corpus states them; ``where`` is the file, and line, of the text."""

    id: str
    audio: Path
    text: str
    where: str
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of the corpus that is left out: where it stands and why."""

    where: str
    reason: str

    def __str__(self) -> str:
        # Names of files need not be text; what cannot be printed is escaped.
        return f"{self.where}: {self.reason}".encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table that the user named; None is found by its usual names."""

    path: str | None = None
    text: str | None = None

    def __bool__(self) -> bool:
        return self.path is not None or self.text is not None


@dataclass(frozen=True)
class Format:
    """A layout of corpora.

    Args:
        name: what ``--format`` calls it.
        accepts: what it looks like, for messages.
        recognises: whether a source is of this layout, at a glance.
        read: its rows and problems, in the order of the source.
        own_ids: whether the corpus has ids of its own; where it has not, they are made from file names.
    """

    name: str
    accepts: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Columns], Iterator[Row | Problem]]
    own_ids: bool = False


NO_TRANSCRIPT = "the recording has no transcript"
NO_RECORDING = "the transcript has no recording beside it"
# Where one utterance lies there in several codings, the least compressed is taken.
_PREFERENCE = {suffix: rank for rank, suffix in enumerate((".flac", ".wav", ".w64", ".aiff", ".aif", ".au"))}


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below, in sorted order, with the sorted names of its files; hidden ones left out.

    Links to folders are followed, each real folder once.
    """
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(place), sorted(name for name in files if not name.startswith("."))


def recordings(folder: Path, names: list[str]) -> tuple[dict[str, Path], list[Problem]]:
    """The recordings among a folder's files by their name without the ending; one a name, the rest as problems."""
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    candidates = [folder / name for name in names if audio.is_audio(Path(name))]
    for path in sorted(candidates, key=lambda path: (_PREFERENCE.get(path.suffix.lower(), 99), path.name)):
        if path.stem in found:
            problems.append(Problem(str(path), f"the same utterance as {found[path.stem].name}, which is taken"))
        else:
            found[path.stem] = path
    return found, problems


Stems = Callable[[Path], list[str]]
"""What the recording of a file may be called, the likeliest first; nothing, if the file is no transcript."""


def has_pairs(source: Path, stems: Stems) -> bool:
    """Whether any recording in a folder, or below it, has its transcript beside it."""
    return any(
        recordings(folder, names)[0].keys() & _transcripts(folder, names, stems).keys()
        for folder, names in walk(source)
    )


def pairs(source: Path, stems: Stems, read: Callable[[Path, Path], Iterable[Row | Problem]]) -> Iterator[Row | Problem]:
    """What is read of each recording and the transcript beside it, in a folder and any below it."""
    for folder, names in walk(source):
        found, problems = recordings(folder, names)
        yield from problems
        texts = _transcripts(folder, names, stems)
        for stem, recording in sorted(found.items()):
            if stem in texts:
                yield from read(recording, texts[stem])
            else:
                yield Problem(str(recording), NO_TRANSCRIPT)
        for text in sorted(set(texts.values())):
            if not found.keys() & set(stems(text)):
                yield Problem(str(text), NO_RECORDING)


def _transcripts(folder: Path, names: list[str], stems: Stems) -> dict[str, Path]:
    """Transcripts by the name of their recording; of several the likeliest, then the first."""
    claims = [(rank, folder / name, stem) for name in names for rank, stem in enumerate(stems(folder / name))]
    return {stem: path for _, path, stem in sorted(claims, reverse=True)}
