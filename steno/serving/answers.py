"""A worker's answer in the forms of OpenAI's API."""

import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from math import log
from typing import Any, Self

import orjson

from steno.decoding.transcript import Transcript, Word
from steno.runtime import formats
from steno.serving.form import Granularity, ResponseFormat
from steno.serving.words import read_transcript, word_json

_FLOOR = 1e-6
"""Confidence below which a logarithm says nothing more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was heard in ``duration`` seconds."""

    transcript: Transcript
    duration: float
    language: str

    @classmethod
    def of(cls, head: dict[str, Any], language: str) -> Self:
        """From a worker's JSON."""
        return cls(read_transcript(head["transcript"]), head["duration"], language)


def render(answer: Answer, form: ResponseFormat, granularities: Collection[Granularity]) -> tuple[bytes, str]:
    """Body and media type of a response."""
    if form == "text":
        return f"{answer.transcript.text}\n".encode(), "text/plain; charset=utf-8"
    if form == "srt":
        return formats.to_srt(answer.transcript).encode(), "application/x-subrip; charset=utf-8"
    if form == "vtt":
        return formats.to_vtt(answer.transcript).encode(), "text/vtt; charset=utf-8"
    plain = {"text": answer.transcript.text, **usage(answer)}
    return orjson.dumps(verbose(answer, granularities) if form == "verbose_json" else plain), "application/json"


def usage(answer: Answer) -> dict[str, Any]:
    """Seconds of audio, as the API counts them."""
    return {"usage": {"type": "duration", "seconds": round(answer.duration, 3)}}


def verbose(answer: Answer, granularities: Collection[Granularity]) -> dict[str, Any]:
    """``verbose_json``. Beyond the API, a word has its ``confidence``."""
    said: dict[str, Any] = {
        "task": "transcribe",
        "language": answer.language,
        "duration": round(answer.duration, 3),
        "text": answer.transcript.text,
    }
    if "word" in granularities:
        said["words"] = [word_json(word) for word in answer.transcript.words]
    if "segment" in granularities:
        said["segments"] = [_segment(number, words) for number, words in enumerate(segments(answer.transcript))]
    return said | usage(answer)


def segments(transcript: Transcript) -> Iterator[list[Word]]:
    """The words of each subtitle."""
    words = iter(transcript.words)
    for _, _, text in formats.cues_of(transcript.words):
        yield list(islice(words, len(text.split())))


def events(answer: Answer) -> Iterator[dict[str, Any]]:
    """The server-sent events of a streamed answer: a delta for each segment, then the whole."""
    for number, words in enumerate(segments(answer.transcript)):
        text = " ".join(word.text for word in words)
        yield {"type": "transcript.text.delta", "delta": f" {text}" if number else text}
    yield {"type": "transcript.text.done", "text": answer.transcript.text, **usage(answer)}


def _segment(number: int, words: list[Word]) -> dict[str, Any]:
    """A segment with the API's fields. ``avg_logprob`` is the mean logarithm of the words' confidences; what a CTC
    model does not have (tokens of a language model, the chance of no speech) is empty or null."""
    text = " ".join(word.text for word in words)
    return {
        "id": number,
        "seek": 0,
        "start": round(words[0].start, 3),
        "end": round(words[-1].end, 3),
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(sum(log(max(_FLOOR, word.confidence)) for word in words) / len(words), 4),
        "compression_ratio": round(len(text.encode()) / len(zlib.compress(text.encode())), 4),
        "no_speech_prob": None,
    }
