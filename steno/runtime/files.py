"""Transcribing many files: batched, in order, and no bad file costs the others."""

import glob
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from stat import S_ISDIR

import numpy as np

from steno import audio, storage
from steno.audio import Samples, Source
from steno.decoding.transcript import Alternative, Transcript
from steno.errors import AudioError, StenoError
from steno.fragments import part_of
from steno.runtime.recognizer import Recognizer
from steno.runtime.vad import segments

LONGEST_SECONDS = 35.0
"""A recording that lasts longer is cut at its silences."""

GROUP_SECONDS = 240.0


@dataclass(frozen=True)
class FileResult:
    """The transcript of one file, or why there is none, and its duration in seconds."""

    source: Source | Samples
    transcript: Transcript | None
    error: AudioError | None = None
    seconds: float = 0.0


@dataclass
class _File:
    """A file on its way: its transcripts so far, and how many of its pieces are still to come."""

    source: Source | Samples
    seconds: float = 0.0
    read: bool = False
    waiting: int = 0
    error: AudioError | None = None
    parts: list[Transcript] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.read and not self.waiting

    def result(self) -> FileResult:
        transcript = None if self.error else joined(self.parts)
        return FileResult(self.source, transcript, self.error, self.seconds)


def transcribe_files(
    recognizer: Recognizer, sources: Iterable[Source | Samples], group_seconds: float = GROUP_SECONDS
) -> Iterator[FileResult]:
    """Results in the order of the sources, as soon as each group of about ``group_seconds`` of audio is done.

    A source is a file, its bytes, or samples (N,) at the recogniser's rate.

    A recording of more than :data:`LONGEST_SECONDS` is cut at its silences; no more of it than a group is in memory.
    """
    files: deque[_File] = deque()
    group: list[tuple[_File, float, Samples]] = []
    waiting = 0.0
    for source in sources:
        file = _File(source)
        files.append(file)
        try:
            for start, samples in _pieces(recognizer.sample_rate, file):
                group.append((file, start, samples))
                file.waiting += 1
                waiting += len(samples) / recognizer.sample_rate
                if waiting >= group_seconds:
                    _transcribe(recognizer, group)
                    group, waiting = [], 0.0
        except AudioError as error:
            file.error = error
        file.read = True
        while files and files[0].done:
            yield files.popleft().result()
    _transcribe(recognizer, group)
    for file in files:
        yield file.result()


def _pieces(rate: int, file: _File) -> Iterator[tuple[float, Samples]]:
    """Pieces of a recording, with the second at which each starts; a short one is one piece."""
    coming = _counted(_blocks(file.source, rate), rate, file)
    first = next(coming, np.zeros(0, dtype=np.float32))
    second = next(coming, None)
    if second is None or len(first) + len(second) <= LONGEST_SECONDS * rate:
        rest = [first, *([] if second is None else [second]), *coming]
        yield 0.0, np.concatenate(rest)
        return
    for start, samples in segments(chain([first, second], coming), rate):
        yield start / rate, samples


def _blocks(source: Source | Samples, rate: int) -> Iterator[Samples]:
    if not isinstance(source, np.ndarray):
        yield from audio.blocks(source, rate, LONGEST_SECONDS)
        return
    size = int(LONGEST_SECONDS * rate)
    for start in range(0, len(source), size):
        yield source[start : start + size]


def _counted(blocks: Iterator[Samples], rate: int, file: _File) -> Iterator[Samples]:
    for block in blocks:
        file.seconds += len(block) / rate
        yield block


def _transcribe(recognizer: Recognizer, group: Sequence[tuple[_File, float, Samples]]) -> None:
    emissions = recognizer.emissions([samples for _, _, samples in group])
    for (file, start, _), emission_tv in zip(group, emissions, strict=True):
        file.parts.append(recognizer.decode(emission_tv, offset=start))
        file.waiting -= 1


def joined(parts: Sequence[Transcript]) -> Transcript:
    """One transcript of a recording's parts; its alternatives are the best of all that theirs make together."""
    if len(parts) == 1:
        return parts[0]
    text = " ".join(part.text for part in parts if part.text)
    return Transcript(
        text,
        tuple(word for part in parts for word in part.words),
        _alternatives(parts),
        sum(part.score for part in parts),
    )


def _alternatives(parts: Sequence[Transcript]) -> tuple[Alternative, ...]:
    most = max((len(part.alternatives) for part in parts), default=0)
    if not most:
        return ()
    whole = {"": 0.0}
    for part in parts:
        nbest = part.alternatives or [Alternative(part.text, part.score)]
        scores: dict[str, float] = {}
        for before, score in whole.items():
            for one in nbest:
                text = f"{before} {one.text}".strip()
                scores[text] = max(scores.get(text, -math.inf), score + one.score)
        whole = dict(sorted(scores.items(), key=lambda scored: -scored[1])[:most])
    return tuple(Alternative(text, score) for text, score in whole.items())


def expand(arguments: Sequence[str]) -> list[str]:
    """File names for files, folders (searched for recordings, sorted) and globs, in the order given.

    A folder may be in a store, ``s3://…``; there are no globs there.

    A plain name stays as it is, also if there is no such file, so that its error has its place among the
    results; ``-`` stays too.

    Raises:
        StenoError: a folder or a glob holds no recording, or a store does not answer.
    """
    names: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if storage.is_remote(argument):
            names += storage.recordings_below(argument, audio.is_audio) or [argument]
            continue
        mode = _mode(path)
        if mode and S_ISDIR(mode):
            found = sorted(str(p) for p in path.rglob("*") if audio.is_audio(p) and p.is_file())
        elif not mode and glob.has_magic(argument):
            matching = map(Path, glob.iglob(argument, recursive=True))
            found = sorted(str(p) for p in matching if audio.is_audio(p) and not p.is_dir())
        else:
            found = [argument]
        if not found:
            raise StenoError(
                f"{argument}: there is no recording in it", f"Looked for {', '.join(sorted(audio.SUFFIXES))}."
            )
        names += found
    return names


def by_channel(names: Sequence[str]) -> list[str]:
    """Each channel of a recording by itself, ``call.wav#channel=0`` and so on.

    One with a single channel stays as it is, and so does one that cannot be read, so that its error has its place
    among the results.
    """
    return [part for name in names for part in _channels(name)]


def _channels(name: str) -> list[str]:
    try:
        count = audio.channels(name)
    except AudioError:
        count = 1
    if count == 1:
        return [name]
    whole = part_of(name)
    return [str(whole._replace(channel=channel).path) for channel in range(count)]


def _mode(path: Path) -> int:
    """What the path is, as stat has it; 0 if there is nothing, or nothing that can be looked at."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
