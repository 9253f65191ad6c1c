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
class Wanted:
    """What the user named of a source; the rest is found.

    Args:
        path: the column of a table that holds paths.
        text: the column that holds transcripts.
        tiers: the tiers of annotations that hold utterances.
    """

    path: str | None = None
    text: str | None = None
    tiers: tuple[str, ...] = ()

    @property
    def columns(self) -> bool:
        """Whether columns were named."""
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
    read: Callable[[Path, Wanted], Iterator[Row | Problem]]
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


Read = Callable[[Path, Path], Iterable[Row | Problem]]
"""What a recording and the transcript beside it hold."""


def has_pairs(source: Path, stems: Stems, fits: Callable[[Path], bool] = lambda transcript: True) -> bool:
    """Whether any recording in a folder, or below it, has a transcript beside it that fits."""
    for folder, names in walk(source):
        texts = _transcripts(folder, names, stems)
        if any(fits(texts[stem]) for stem in recordings(folder, names)[0] if stem in texts):
            return True
    return False


def alone(transcript: Path, stems: Stems, read: Read) -> Iterator[Row | Problem]:
    """What is read of one transcript and the recording beside it."""
    claimed = stems(transcript)
    found, _ = recordings(transcript.parent, sorted(path.name for path in transcript.parent.iterdir()))
    recording = next((found[stem] for stem in claimed if stem in found), None)
    if recording is None:
        yield Problem(str(transcript), NO_RECORDING if claimed else "is not a transcript of this format")
    else:
        yield from read(recording, transcript)


def pairs(source: Path, stems: Stems, read: Read) -> Iterator[Row | Problem]:
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
