"""Transcribing many files: batched, in order, and no bad file costs the others."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR

from steno import audio
from steno.audio import Samples, Source
from steno.errors import AudioError, StenoError
from steno.runtime.recognizer import Recognizer, Transcript


@dataclass(frozen=True)
class FileResult:
    """The transcript of one file, or why there is none."""

    source: Source
    transcript: Transcript | None
    error: AudioError | None = None


def transcribe_files(
    recognizer: Recognizer, sources: Iterable[Source], group_seconds: float = 240.0
) -> Iterator[FileResult]:
    """Results in the order of the sources, as soon as each group of about ``group_seconds`` of audio is done."""
    group: list[tuple[Source, Samples | AudioError]] = []
    samples = 0
    for source in sources:
        try:
            recording = audio.load(source, recognizer.sample_rate)
        except AudioError as error:
            group.append((source, error))
            continue
        group.append((source, recording))
        samples += len(recording)
        if samples >= group_seconds * recognizer.sample_rate:
            yield from _transcribe_group(recognizer, group)
            group, samples = [], 0
    yield from _transcribe_group(recognizer, group)


def _transcribe_group(recognizer: Recognizer, group: list[tuple[Source, Samples | AudioError]]) -> Iterator[FileResult]:
    readable = [loaded for _, loaded in group if not isinstance(loaded, AudioError)]
    transcripts = iter(recognizer.transcribe(readable))
    for source, loaded in group:
        if isinstance(loaded, AudioError):
            yield FileResult(source, None, loaded)
        else:
            yield FileResult(source, next(transcripts))


def expand(arguments: Sequence[str]) -> list[str]:
    """File names for files, folders (searched for recordings, sorted) and globs, in the order given.

    A plain name stays as it is, also if there is no such file, so that its error has its place among the
    results; ``-`` stays too.

    Raises:
        StenoError: a folder or a glob holds no recording.
    """
    names: list[str] = []
    for argument in arguments:
        path = Path(argument)
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


def _mode(path: Path) -> int:
    """What the path is, as stat has it; 0 if there is nothing, or nothing that can be looked at."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
