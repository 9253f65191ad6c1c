"""Evaluations that no model made, for what is told of them."""

from collections.abc import Sequence
from pathlib import Path

import tiny

from steno.data.manifest import Utterance
from steno.decoding.transcript import Word
from steno.evaluation.measure import Evaluation, LeftOut, Measured
from steno.evaluation.normalization import Normalization
from steno.evaluation.score import score


def measured(
    identity: str,
    reference: str,
    hypothesis: str,
    *,
    audio: Path = Path("none.wav"),
    speaker: str | None = "one",
    seconds: float = 2.0,
    confidence: float | None = 0.9,
) -> Measured:
    """One scored utterance; its words follow each other evenly, all of one confidence, or there are none."""
    heard = hypothesis.split()
    step = seconds / max(1, len(heard))
    words: tuple[Word, ...] = ()
    if confidence is not None:
        words = tuple(Word(word, n * step, (n + 1) * step, confidence) for n, word in enumerate(heard))
    (scored,) = score([(identity, reference, hypothesis)]).utterances
    return Measured(Utterance(identity, audio, seconds, reference, speaker), scored, words)


def evaluation(rows: Sequence[Measured], model: str = "made", left_out: Sequence[LeftOut] = ()) -> Evaluation:
    """An evaluation of these rows."""
    return Evaluation(
        model=model,
        data=Path("made.jsonl"),
        digest="0123456789abcdef",
        normalization=Normalization(),
        measured=tuple(rows),
        left_out=tuple(left_out),
        seconds=1.0,
        audio_seconds=sum(row.utterance.duration for row in rows),
    )


def spoken(folder: Path, count: int) -> list[Measured]:
    """Utterances with recordings, every third with a substituted word; of three speakers."""
    rows = []
    for n in range(count):
        reference = "ab cd ba"
        utterance = tiny.record(folder / f"u{n:02d}.wav", reference, n)
        hypothesis = "ab dd ba" if n % 3 == 0 else reference
        rows.append(
            measured(
                utterance.id,
                reference,
                hypothesis,
                audio=utterance.audio,
                speaker=f"s{n % 3}",
                seconds=utterance.duration,
            )
        )
    return rows
