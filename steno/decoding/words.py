"""From hypotheses to a transcript."""

import math
from collections.abc import Sequence
from dataclasses import replace

from steno.decoding.config import CalibrationConfig
from steno.decoding.path import Emission, Hypothesis, runs, words_of
from steno.decoding.transcript import Alternative, Transcript, Word


def transcript(
    hypotheses: Sequence[Hypothesis],
    emission_tv: Emission,
    tokens: Sequence[str],
    seconds_per_frame: float,
    calibration: CalibrationConfig | None = None,
    offset: float = 0.0,
    nbest: int = 1,
) -> Transcript:
    """The best hypothesis with words, times from ``offset`` seconds and confidences, and the others' texts.

    Of hypotheses that differ only in their paths, the best one stays.
    """
    best = hypotheses[0]
    words = words_of(runs(best.path_t, emission_tv), tokens, seconds_per_frame, offset)
    if calibration is not None:
        words = tuple(replace(word, confidence=calibrated(word.confidence, calibration)) for word in words)
    text = _text(words)
    others: dict[str, float] = {text: best.score}
    for other in hypotheses[1:] if nbest > 1 else ():
        spelled = _text(words_of(runs(other.path_t, emission_tv), tokens, seconds_per_frame))
        others.setdefault(spelled, other.score)
    listed = tuple(Alternative(other, score) for other, score in list(others.items())[:nbest]) if nbest > 1 else ()
    return Transcript(text, words, listed, best.score)


def calibrated(raw: float, calibration: CalibrationConfig) -> float:
    """The chance that a word of this raw score is right."""
    raw = min(max(raw, 1e-6), 1 - 1e-6)
    log_odds = calibration.slope * math.log(raw / (1 - raw)) + calibration.offset
    return 1 / (1 + math.exp(-min(max(log_odds, -_SURE), _SURE)))


_SURE = 30.0
"""Log-odds beyond which a chance is 0 or 1."""


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
