"""Transcripts as text, JSON, subtitles and CTM."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import Any

from steno.decoding.transcript import Transcript, Word

FORMATS = ("text", "json", "srt", "vtt", "ctm")

_LINE_CHARACTERS = 42
_CUE_SECONDS = 6.0
_PAUSE_SECONDS = 0.8
_LEAST_SECONDS = 1.0
_BALANCE_SECONDS = 0.4


def to_dict(transcript: Transcript) -> dict[str, Any]:
    """Plain values of a transcript, for JSON; times in seconds."""
    found: dict[str, Any] = {"text": transcript.text, "words": [_word(word) for word in transcript.words]}
    if transcript.alternatives:
        found["alternatives"] = [{"text": a.text, "score": round(a.score, 3)} for a in transcript.alternatives]
    return found


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 4),
        "characters": [{"text": t.text, "start": round(t.start, 3), "end": round(t.end, 3)} for t in word.tokens],
    }


def to_srt(transcript: Transcript) -> str:
    """SubRip subtitles."""
    cues = [
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(cues_of(transcript.words), start=1)
    ]
    return "\n".join(cues)


def to_vtt(transcript: Transcript) -> str:
    """Subtitles as WebVTT (W3C)."""
    cues = [f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n" for start, end, text in cues_of(transcript.words)]
    return "\n".join(["WEBVTT\n", *cues])


def to_ctm(transcript: Transcript, name: str) -> str:
    """NIST's time-marked conversation form: file, channel, start, duration, word, confidence."""
    name = "_".join(name.split())  # spaces part the fields
    return "".join(
        f"{name} 1 {word.start:.2f} {word.end - word.start:.2f} {word.text} {word.confidence:.4f}\n"
        for word in transcript.words
    )


def cues_of(words: Sequence[Word]) -> Iterator[tuple[float, float, str]]:
    """Start, end and text of subtitles: of at most two lines and six seconds, broken where the pause is longest.

    One that would be there for less than a second stays longer, where the next one leaves it time.
    """
    cues = list(_cues(words))
    for cue, following in zip_longest(cues, cues[1:]):
        longest = following[0].start if following else math.inf
        yield cue[0].start, max(cue[-1].end, min(cue[0].start + _LEAST_SECONDS, longest)), _lines(cue)


def _cues(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    left = [words] if words else []
    while left:
        group = left.pop()
        place = _break(group)
        if place is None:
            yield group
        else:
            left += [group[place:], group[:place]]


def _break(group: Sequence[Word]) -> int | None:
    """Before which word a cue is broken; None where it may stay whole."""
    pauses = [after.start - before.end for before, after in pairwise(group)]
    characters = sum(len(word.text) + 1 for word in group) - 1
    fits = characters <= 2 * _LINE_CHARACTERS and group[-1].end - group[0].start <= _CUE_SECONDS
    if not pauses or (fits and max(pauses) <= _PAUSE_SECONDS):
        return None
    places = range(1, len(group))
    # Of pauses that are as good as equal the one in the middle.
    return max(places, key=lambda at: pauses[at - 1] + _BALANCE_SECONDS * min(at, len(group) - at) / len(group))


def _lines(group: Sequence[Word]) -> str:
    lines = [""]
    for word in group:
        if lines[-1] and len(lines[-1]) + 1 + len(word.text) > _LINE_CHARACTERS:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word.text
    return "\n".join(lines)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
