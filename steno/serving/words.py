"""Words and errors as JSON, between workers, server and clients."""

from typing import Any

from steno.decoding.transcript import Transcript, Word
from steno.errors import StenoError


def word_json(word: Word) -> dict[str, Any]:
    """One word with its times in seconds."""
    return {
        "word": word.text,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 4),
    }


def transcript_json(transcript: Transcript) -> dict[str, Any]:
    """Text and words."""
    return {"text": transcript.text, "words": [word_json(word) for word in transcript.words]}


def read_transcript(data: dict[str, Any]) -> Transcript:
    """What :func:`transcript_json` wrote."""
    words = tuple(Word(word["word"], word["start"], word["end"], word["confidence"]) for word in data["words"])
    return Transcript(data["text"], words)


def told(error: StenoError | None) -> str:
    """An error and its remedy on one line."""
    return f"{error.message}. {error.hint}".strip() if error else "It cannot be used."
