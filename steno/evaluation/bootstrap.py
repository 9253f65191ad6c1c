"""How sure an error rate is: bootstrap over utterances.

Source: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steno.evaluation.wer import ErrorCounts


@dataclass(frozen=True)
class Interval:
    """An interval of rates, 0.25 for 25 %."""

    low: float
    high: float


def bootstrap_interval(
    counts: Sequence[ErrorCounts], confidence: float = 0.95, samples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile interval of the corpus error rate when utterances are drawn with replacement.

    Args:
        counts: one an utterance; at least one with a reference.
        confidence: the share of intervals that cover the true rate.
        samples: bootstrap samples.
        seed: of the random numbers.

    Raises:
        ValueError: no utterance has a reference.
    """
    errors = np.array([c.errors for c in counts], dtype=np.float64)
    references = np.array([c.reference for c in counts], dtype=np.float64)
    if not references.sum():
        raise ValueError("no utterance has a reference")
    generator = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // len(counts))
    rates: list[np.ndarray] = []
    for start in range(0, samples, chunk):
        drawn = generator.integers(len(counts), size=(min(chunk, samples - start), len(counts)))
        sums = references[drawn].sum(axis=1)
        rates.append(errors[drawn].sum(axis=1)[sums > 0] / sums[sums > 0])
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(rates), [tail, 1 - tail])
    return Interval(float(low), float(high))
