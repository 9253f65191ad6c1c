"""What is labelled at once: a short recording, a piece of a long one, or a row of a manifest."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from steno import audio
from steno.audio import SAMPLE_RATE
from steno.data.manifest import Manifest, Utterance
from steno.fragments import part_of
from steno.runtime.files import expand
from steno.runtime.vad import segments
from steno.storage import absolute

Source = Path | Utterance

_MOMENT = 0.05
"""Seconds that two pieces may share by rounding."""


def sources(arguments: Iterable[str]) -> list[Source]:
    """Rows of manifests, and recordings of files, folders and globs, each once.

    Raises:
        ManifestError: a manifest is not valid.
        StenoError: a folder or a glob holds no recording.
    """
    found: dict[str, Source] = {}
    for argument in arguments:
        if argument.endswith(".jsonl"):
            found |= {key(row.audio): row for row in Manifest(argument)}
        else:
            found |= {key(path): path for path in map(Path, expand([argument]))}
    return list(found.values())


def key(path: Path) -> str:
    """One name for a recording, or a part of one, however its path is written."""
    return str(absolute(path))


def pieces(source: Source, longest: float) -> Iterator[Utterance]:
    """A recording, cut at its silences where it lasts longer than ``longest`` seconds; a row of a manifest is whole.

    What of a long recording holds no speech is left out. Times are whole milliseconds, so that a manifest gives the
    same ones back.

    Raises:
        AudioError: the recording cannot be read.
    """
    if isinstance(source, Utterance):
        yield source
        return
    part, seconds = part_of(source), audio.duration(source)
    if seconds <= longest:
        yield Utterance(part.name, source, seconds)
        return
    for start, samples in segments(audio.blocks(source, SAMPLE_RATE, longest), SAMPLE_RATE, longest):
        end = start + len(samples)
        first, last = (round(part.start + min(place / SAMPLE_RATE, seconds), 3) for place in (start, end))
        piece = part._replace(start=first, end=last)
        yield Utterance(piece.name, piece.path, round(last - first, 3))


def overlaps(one: Path, other: Path) -> bool:
    """Whether two parts of the same recording and channel share more than a moment."""
    first, second = part_of(one), part_of(other)
    if first.channel != second.channel:
        return False
    ends = (np.inf if part.end is None else part.end for part in (first, second))
    return bool(min(ends) - max(first.start, second.start) > _MOMENT)
