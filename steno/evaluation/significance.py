"""Whether one recogniser is better than another on the same recordings, and how sure that is.

Differences are second minus first: below 0 the second makes fewer errors.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from steno.evaluation.bootstrap import Interval, draws, percentile_interval
from steno.evaluation.student import contracted_tail, expanded_tail, t_cdf
from steno.evaluation.wer import ErrorCounts

_BUFFER = 2
"""Words in a row that both must have right to part two segments."""


@dataclass(frozen=True)
class MatchedPairs:
    """The matched-pairs sentence-segment word error test: ``mean`` errors a segment, second minus first."""

    segments: int
    mean: float
    statistic: float
    p: float


@dataclass(frozen=True)
class PairedBootstrap:
    """The difference of two word error rates, second minus first, with utterances drawn in pairs.

    ``p`` is two-sided; ``better`` is the share of draws in which the second makes fewer errors.
    """

    difference: float
    interval: Interval
    p: float
    better: float
    upper: float
    """One-sided upper bound of the difference at the significance that was asked for."""


def matched_pairs(
    references: Sequence[Sequence[str]], firsts: Sequence[Sequence[str]], seconds: Sequence[Sequence[str]]
) -> MatchedPairs:
    """Compare two sets of hypotheses, each of words, on the same references.

    Source: Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms",
    ICASSP 1989; segments as in NIST's sc_stats (MAPSSWE): parts of an utterance with an error of either, between
    two or more words in a row that both have right. Student's t takes the place of the normal distribution, which
    it becomes for many segments. Where all differences are equal, p is that of the exact sign-flip test.
    """
    differences = np.array(
        [
            second - first
            for texts in zip(references, firsts, seconds, strict=True)
            for first, second in error_segments(*texts)
        ],
        dtype=np.float64,
    )
    count = len(differences)
    mean = float(differences.mean()) if count else 0.0
    if not mean or count < 2:
        return MatchedPairs(count, mean, 0.0, 1.0)
    deviation = float(differences.std(ddof=1))
    if not deviation:
        return MatchedPairs(count, mean, math.copysign(math.inf, mean), 2.0 ** (1 - count))
    statistic = mean / (deviation / math.sqrt(count))
    return MatchedPairs(count, mean, statistic, 2 * t_cdf(-abs(statistic), count - 1))


def error_segments(reference: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Errors of both hypotheses in each segment of an utterance; segments without errors are left out."""
    wrong, inserted = _marks(reference, first)
    others_wrong, others_inserted = _marks(reference, second)
    parting = _parting(
        [not (a or b) for a, b in zip(wrong, others_wrong, strict=True)],
        [a + b for a, b in zip(inserted, others_inserted, strict=True)],
    )
    errors = (0, 0)
    for place in range(len(reference) + 1):
        errors = (errors[0] + inserted[place], errors[1] + others_inserted[place])
        if place < len(reference) and not parting[place]:
            errors = (errors[0] + wrong[place], errors[1] + others_wrong[place])
        elif any(errors):
            yield errors
            errors = (0, 0)


def paired_bootstrap(
    firsts: Sequence[ErrorCounts],
    seconds: Sequence[ErrorCounts],
    *,
    significance: float = 0.05,
    samples: int = 10_000,
    seed: int = 0,
) -> PairedBootstrap:
    """Compare two recognisers by the counts of the same utterances, or of the same speakers.

    Source: Bisani and Ney, ICASSP 2004; percentiles widened for few units
    (:func:`steno.evaluation.student.expanded_tail`).

    Raises:
        ValueError: no utterance has a reference.
    """
    references = np.array([c.reference for c in firsts], dtype=np.float64)
    differences = np.array([b.errors - a.errors for a, b in zip(firsts, seconds, strict=True)], dtype=np.float64)
    if not references.sum():
        raise ValueError("no utterance has a reference")
    found = []
    for drawn in draws(len(references), samples, seed):
        sums = references[drawn].sum(axis=1)
        found.append(differences[drawn].sum(axis=1)[sums > 0] / sums[sums > 0])
    rates = np.concatenate(found)
    units = len(references)
    # A share of 0 would claim more than so many samples can show.
    tail = min(1.0, (min(np.count_nonzero(rates <= 0), np.count_nonzero(rates >= 0)) + 1) / (len(rates) + 1))
    return PairedBootstrap(
        difference=float(differences.sum() / references.sum()),
        interval=percentile_interval(rates, units, 0.95),
        p=min(1.0, 2 * contracted_tail(tail, units)),
        better=float(np.mean(rates < 0)),
        upper=float(np.quantile(rates, 1 - expanded_tail(significance, units))),
    )


def holm(values: Sequence[float]) -> list[float]:
    """p-values of several tests, made so that the chance of any false one among them keeps its level.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
    """
    adjusted = [0.0] * len(values)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda place: values[place])):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = least
    return adjusted


def _marks(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[list[bool], list[int]]:
    """Which words of the reference are wrong or missing, and how many were inserted before each and at the end."""
    wrong = [False] * len(reference)
    inserted = [0] * (len(reference) + 1)
    for edit in Levenshtein.editops(reference, hypothesis):
        if edit.tag == "insert":
            inserted[edit.src_pos] += 1
        else:
            wrong[edit.src_pos] = True
    return wrong, inserted


def _parting(right: Sequence[bool], inserted: Sequence[int]) -> list[bool]:
    """Which words stand in a run of right ones that is long enough, with nothing inserted inside it."""
    parting = [False] * len(right)
    start = 0
    for place in range(1, len(right) + 1):
        joined = place < len(right) and right[place - 1] and right[place] and not inserted[place]
        if not joined:
            if right[place - 1] and place - start >= _BUFFER:
                parting[start:place] = [True] * (place - start)
            start = place
    return parting
