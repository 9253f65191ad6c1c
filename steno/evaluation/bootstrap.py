"""How sure an error rate is: bootstrap over utterances, and over speakers.

Source: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004;
percentiles are widened for few units as :func:`steno.evaluation.student.expanded_tail` says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steno.evaluation.student import expanded_tail
from steno.evaluation.wer import ErrorCounts, total

Rates = npt.NDArray[np.float64]
FEW_SPEAKERS = 10
"""With fewer speakers than this an interval by speaker is rough, and is said to be."""


@dataclass(frozen=True)
class Interval:
    """An interval of rates, 0.25 for 25 %."""

    low: float
    high: float


@dataclass(frozen=True)
class SpeakerInterval:
    """The interval when speakers are drawn, each with all of its utterances.

    ``interval`` is None where it cannot be made; ``note`` then says why, or that there are few speakers.
    """

    speakers: int
    interval: Interval | None
    note: str = ""


def bootstrap_interval(
    counts: Sequence[ErrorCounts], confidence: float = 0.95, samples: int = 2000, seed: int = 0
) -> Interval:
    """Interval of the corpus error rate when utterances (or whatever was counted) are drawn with replacement.

    Args:
        counts: one a unit; at least one with a reference.
        confidence: the share of intervals that cover the true rate.
        samples: bootstrap samples.
        seed: of the random numbers.

    Raises:
        ValueError: no unit has a reference.
    """
    errors = np.array([c.errors for c in counts], dtype=np.float64)
    references = np.array([c.reference for c in counts], dtype=np.float64)
    if not references.sum():
        raise ValueError("no utterance has a reference")
    rates: list[Rates] = []
    for drawn in draws(len(counts), samples, seed):
        sums = references[drawn].sum(axis=1)
        rates.append(errors[drawn].sum(axis=1)[sums > 0] / sums[sums > 0])
    return percentile_interval(np.concatenate(rates), len(counts), confidence)


def speaker_interval(
    counts: Sequence[ErrorCounts], speakers: Sequence[str | None], confidence: float = 0.95, samples: int = 2000
) -> SpeakerInterval:
    """Interval of the corpus error rate over speakers: the cluster bootstrap.

    Utterances of one speaker go right and wrong together, so an interval over utterances is too narrow for
    speakers that were not heard yet. Source: Davison and Hinkley, "Bootstrap Methods and their Application",
    section 3.8.
    """
    unknown = sum(speaker is None for speaker in speakers)
    by_speaker = group_counts(counts, [str(speaker) for speaker in speakers])
    if unknown == len(speakers):
        return SpeakerInterval(0, None, "the manifest names no speakers")
    if unknown:
        return SpeakerInterval(len(by_speaker) - 1, None, f"{unknown} utterances have no speaker")
    if len(by_speaker) < 2:
        return SpeakerInterval(1, None, "there is one speaker only")
    note = f"rough: {len(by_speaker)} speakers only" if len(by_speaker) < FEW_SPEAKERS else ""
    return SpeakerInterval(len(by_speaker), bootstrap_interval(by_speaker, confidence, samples), note)


def group_counts(counts: Sequence[ErrorCounts], groups: Sequence[str]) -> list[ErrorCounts]:
    """The total of each group, in order of appearance."""
    found: dict[str, list[ErrorCounts]] = {}
    for count, group in zip(counts, groups, strict=True):
        found.setdefault(group, []).append(count)
    return [total(members) for members in found.values()]


def draws(units: int, samples: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices (some, units) of units drawn with replacement, ``samples`` rows in all, in pieces that fit memory."""
    generator = np.random.default_rng(seed)
    most = max(1, 2_000_000 // units)
    for start in range(0, samples, most):
        yield generator.integers(units, size=(min(most, samples - start), units))


def percentile_interval(drawn: Rates, units: int, confidence: float) -> Interval:
    """The interval from what ``units`` units gave in each bootstrap sample."""
    tail = expanded_tail((1 - confidence) / 2, units)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(low), float(high))
