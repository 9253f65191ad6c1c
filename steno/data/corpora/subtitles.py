"""Recordings with subtitles of the same name beside each: every cue is a part of its recording."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pysubs2

from steno.data.corpora.base import Format, Problem, Row, Wanted, alone, has_pairs, pairs
from steno.data.corpora.delimited import NOT_UTF8, is_text, read_text
from steno.data.corpora.times import PartError, part
from steno.errors import ManifestError

ENDINGS = frozenset({".srt", ".vtt", ".ass", ".ssa"})
# What cues hold beside speech: [laughs], (music), the dash or the name before a speaker's words, the note of a song.
_NOT_SPOKEN = re.compile(r"\[[^\]]*\]|\([^)]*\)|♪|^\s*(?:-|>>+)\s*|^\s*[A-Z][A-Z .'-]*:\s", re.MULTILINE)


def _recognises(source: Path) -> bool:
    if source.is_file():
        return source.suffix.lower() in ENDINGS
    return has_pairs(source, _stems)


def _stems(transcript: Path) -> list[str]:
    """What its recording may be called: talk.en.vtt belongs to ``talk.en``, else to ``talk``."""
    return [transcript.stem, Path(transcript.stem).stem] if transcript.suffix.lower() in ENDINGS else []


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    return (alone if source.is_file() else pairs)(source, _stems, _cues)


def _cues(recording: Path, transcript: Path) -> Iterator[Row | Problem]:
    try:
        text = read_text(transcript)
        cues = pysubs2.SSAFile.from_string(text)
    except ManifestError as error:
        yield Problem(str(transcript), error.message)
        return
    except (pysubs2.exceptions.Pysubs2Error, ValueError):
        cues = pysubs2.SSAFile()
    if not any(not cue.is_comment for cue in cues):
        yield Problem(str(transcript), "holds no cues of SRT, WebVTT or SSA")
    for cue in cues:
        if not cue.is_comment:
            yield _row(recording, cue, f"{transcript} at {pysubs2.time.ms_to_str(cue.start, fractions=True)}")


def _row(recording: Path, cue: pysubs2.SSAEvent, where: str) -> Row | Problem:
    text = html.unescape(cue.plaintext)
    if not is_text(text):
        return Problem(where, NOT_UTF8)
    if "-->" in text:
        return Problem(where, "the times of the cue after it cannot be read")
    try:
        spoken = part(recording, cue.start / 1000, cue.end / 1000)
    except PartError as error:
        return Problem(where, str(error))
    return Row(spoken.name, spoken.path, " ".join(_NOT_SPOKEN.sub(" ", text).split()), where, cue.name or None)


FORMAT = Format(
    name="subtitles",
    accepts="recordings with subtitles of the same name beside each (talk.mp3, talk.srt or talk.en.vtt), or one .srt",
    recognises=_recognises,
    read=_read,
)
