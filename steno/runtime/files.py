"""Transcribing many files: batched, in order, and no bad file costs the others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from steno import audio
from steno.audio import Samples, Source
from steno.errors import AudioError
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
            loaded: Samples | AudioError = audio.load(source, recognizer.sample_rate)
            samples += len(loaded)
        except AudioError as error:
            loaded = error
        group.append((source, loaded))
        if samples >= group_seconds * recognizer.sample_rate:
            yield from _transcribe_group(recognizer, group)
            group, samples = [], 0
    yield from _transcribe_group(recognizer, group)


def _transcribe_group(
    recognizer: Recognizer, group: list[tuple[Source, Samples | AudioError]]
) -> Iterator[FileResult]:
    readable = [loaded for _, loaded in group if not isinstance(loaded, AudioError)]
    transcripts = iter(recognizer.transcribe(readable))
    for source, loaded in group:
        if isinstance(loaded, AudioError):
            yield FileResult(source, None, loaded)
        else:
            yield FileResult(source, next(transcripts))
