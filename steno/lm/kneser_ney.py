"""Interpolated modified Kneser-Ney smoothing.

Sources: Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1998, equations 24 to
26; Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013, for ``<s>``, ``<unk>`` and
what pruning leaves.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from steno.lm.corpus import BEGIN, UNKNOWN, Progress
from steno.lm.counts import Grams
from steno.lm.model import BackoffModel, Level

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Discounts(NamedTuple):
    """What is taken from n-grams that were counted once, twice, and more often."""

    once: float
    twice: float
    more: float
    estimated: bool = True

    def of(self, counts: Integers) -> Doubles:
        """The discount of each count."""
        return np.array([0.0, self.once, self.twice, self.more])[np.minimum(counts, 3)]


FALLBACK = Discounts(0.5, 1.0, 1.5, estimated=False)
"""Where too few n-grams occur once to four times, as with the few single characters there are; lmplz's fallback."""


def estimate_discounts(counts: Integers) -> Discounts:
    """Discounts from how many n-grams were counted once to four times (Chen and Goodman, equation 26)."""
    n = [int((counts == k).sum()) for k in range(1, 5)]
    if not all(n):
        return FALLBACK
    y = n[0] / (n[0] + 2 * n[1])
    found = [k - (k + 1) * y * n[k] / n[k - 1] for k in range(1, 4)]
    if any(not 0 < discount <= k for k, discount in enumerate(found, start=1)):
        return FALLBACK
    return Discounts(found[0], found[1], found[2])


def adjusted_counts(tables: Sequence[Grams]) -> list[Integers]:
    """Counts that are smoothed, an array an order.

    Below the highest order that is how many different words precede an n-gram; those that begin with ``<s>``, which
    nothing precedes, keep their counts. ``<s>`` itself is never predicted: 0.
    """
    adjusted = []
    for n, table in enumerate(tables):
        if n + 1 == len(tables):
            counts = table.count.copy()
        else:
            preceding = np.bincount(tables[n + 1].suffix, minlength=len(table)).astype(np.int64)
            counts = np.where(table.begins, table.count, preceding)
        if n == 0:
            counts[BEGIN] = 0
        adjusted.append(counts)
    return adjusted


def estimate(
    vocabulary: list[str],
    tables: Sequence[Grams],
    prune: Sequence[int] = (),
    progress: Progress = lambda what, part: None,
) -> tuple[BackoffModel, list[Discounts]]:
    """A model from counts.

    N-grams that occur at most ``prune[n - 1]`` times are left out (the last threshold holds for the orders above it),
    and so are all beyond single words that hold ``<unk>``; their probability goes to the level below.

    Args:
        prune: does not fall, and starts with 0.
    """
    thresholds = [prune[min(n, len(prune) - 1)] if prune else 0 for n in range(len(tables))]
    adjusted = adjusted_counts(tables)
    discounts = [estimate_discounts(counts) for counts in adjusted]
    kept = _kept(tables, thresholds)
    levels: list[Level] = []
    probability = np.empty(0)
    rows = np.zeros(1, np.int64)
    for n, table in enumerate(tables):
        progress("estimating", n / len(tables))
        contexts = len(tables[n - 1]) if n else 1
        counts, keep, context = adjusted[n], kept[n], table.context
        discount = discounts[n].of(counts)
        total = np.bincount(context, weights=counts, minlength=contexts)
        free = np.bincount(context, weights=np.where(keep, discount, counts), minlength=contexts)
        used = total > 0
        backoff = np.divide(free, total, out=np.ones(contexts), where=used)
        context = context[keep]
        lower = probability[table.suffix[keep]] if n else np.full(len(table), 1 / (len(table) - 1))
        higher = (counts[keep] - discount[keep]) / total[context]
        here = higher + backoff[context] * lower
        if n == 0:
            here[BEGIN] = 1.0
        else:
            levels[-1] = _with_backoff(levels[-1], backoff[kept[n - 1]])
        levels.append(
            Level(
                word=table.word[keep],
                context=rows[context].astype(np.int32),
                suffix=rows[table.suffix[keep]].astype(np.int32),
                log_prob=np.minimum(np.log10(here), 0).astype(np.float32),
                log_backoff=np.zeros(len(here), np.float32),
            )
        )
        probability = np.zeros(len(table))
        probability[keep] = here
        rows = np.cumsum(keep) - 1
    progress("estimating", 1)
    return BackoffModel(vocabulary, levels), discounts


def _kept(tables: Sequence[Grams], thresholds: Sequence[int]) -> list[npt.NDArray[np.bool_]]:
    known = np.ones(len(tables[0]), np.bool_)
    known[UNKNOWN] = False
    kept = [np.ones(len(tables[0]), np.bool_)]
    for table, threshold in zip(tables[1:], thresholds[1:], strict=True):
        known = known[table.context] & (table.word != UNKNOWN)
        kept.append(known & (table.count > threshold))
    return kept


def _with_backoff(level: Level, backoff: Doubles) -> Level:
    return Level(level.word, level.context, level.suffix, level.log_prob, np.log10(backoff).astype(np.float32))
