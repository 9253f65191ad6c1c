"""A recogniser measured on a manifest."""

from dataclasses import dataclass

from steno.data.manifest import Manifest
from steno.evaluation.score import Scores, score
from steno.runtime import Recognizer
from steno.runtime.files import transcribe_files
from steno.text import words


@dataclass(frozen=True)
class LeftOut:
    """An utterance that was not scored, and why."""

    id: str
    reason: str


def evaluate_manifest(recognizer: Recognizer, manifest: Manifest) -> tuple[Scores, list[LeftOut]]:
    """Score every utterance that can be decoded and has text; say which were left out."""
    left_out = [LeftOut(u.id, "has no text") for u in manifest if not words(u.text or "")]
    scored = []
    with_text = (u for u in manifest if words(u.text or ""))
    results = transcribe_files(recognizer, (u.audio for u in manifest if words(u.text or "")))
    for utterance, result in zip(with_text, results, strict=True):
        if result.transcript is None:
            left_out.append(LeftOut(utterance.id, result.error.message if result.error else "failed"))
        else:
            scored.append((utterance.id, utterance.text or "", result.transcript.text))
    return score(scored), left_out
