"""Transcripts as text, JSON, subtitles and CTM."""

from collections.abc import Iterator, Sequence
from typing import Any

from steno.decoding.transcript import Transcript, Word

FORMATS = ("text", "json", "srt", "vtt", "ctm")

_LINE_CHARACTERS = 42
_CUE_SECONDS = 6.0
_PAUSE_SECONDS = 0.8


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
    return "".join(
        f"{name} 1 {word.start:.2f} {word.end - word.start:.2f} {word.text} {word.confidence:.4f}\n"
        for word in transcript.words
    )


def cues_of(words: Sequence[Word]) -> Iterator[tuple[float, float, str]]:
    """Start, end and text of subtitles: of at most two lines and six seconds, broken at pauses."""
    group: list[Word] = []
    for word in words:
        if group and not _goes_on(group, word):
            yield group[0].start, group[-1].end, _lines(group)
            group = []
        group.append(word)
    if group:
        yield group[0].start, group[-1].end, _lines(group)


def _goes_on(group: Sequence[Word], word: Word) -> bool:
    characters = sum(len(w.text) + 1 for w in group) + len(word.text)
    paused = word.start - group[-1].end > _PAUSE_SECONDS
    return characters <= 2 * _LINE_CHARACTERS and word.end - group[0].start <= _CUE_SECONDS and not paused


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
