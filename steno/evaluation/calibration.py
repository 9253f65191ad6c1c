"""Whether a confidence is the chance to be right: reliability, and the expected calibration error."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steno.evaluation.alignment import align
from steno.evaluation.measure import Evaluation, Measured
from steno.evaluation.normalization import Normalization
from steno.text import words

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Words of like confidence: their number, mean confidence, and the share of them that is right."""

    low: float
    high: float
    words: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """Reliability of word confidences; ``error`` is the expected calibration error, 0.05 for 5 %."""

    words: int
    right: float
    confidence: float
    error: float
    bins: tuple[Bin, ...]


def calibration(evaluation: Evaluation) -> Calibration | None:
    """The reliability of the words' confidences, None where the decoder gives none."""
    found = [pair for one in evaluation.measured for pair in word_confidences(one, evaluation.normalization)]
    return reliability(found) if found else None


def word_confidences(one: Measured, form: Normalization) -> list[tuple[float, bool]]:
    """Confidence of each word that was heard, and whether it is right.

    A word that normalisation parts in two gives its confidence to both. Where it joins words, the utterance
    is left out, as its confidences belong to no word.
    """
    parts = [(part, word.confidence) for word in one.words for part in words(form.apply(word.text))]
    heard = words(one.scored.hypothesis)
    if [part for part, _ in parts] != heard:
        return []
    pairs = [pair for pair in align(words(one.scored.reference), heard) if pair.hypothesis is not None]
    return [(confidence, pair.kind == "correct") for (_, confidence), pair in zip(parts, pairs, strict=True)]


def reliability(found: Sequence[tuple[float, bool]], bins: int = BINS) -> Calibration:
    """Bins of equal width over confidences from 0 to 1; empty ones are left out.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI 2015; Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    filled: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in found:
        filled.setdefault(min(bins - 1, max(0, int(confidence * bins))), []).append((confidence, right))
    made = tuple(
        Bin(
            number / bins, (number + 1) / bins, len(members), _mean(c for c, _ in members), _mean(r for _, r in members)
        )
        for number, members in sorted(filled.items())
    )
    error = sum(one.words * abs(one.right - one.confidence) for one in made) / len(found)
    return Calibration(len(found), _mean(r for _, r in found), _mean(c for c, _ in found), error, made)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
