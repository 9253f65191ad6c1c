"""A back-off n-gram model in memory."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steno.lm.corpus import Ids

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, sorted by context and word; arrays of shape (n-grams,).

    Args:
        word: the last word.
        context: row of the n-gram without its last word in the level below.
        suffix: row of the n-gram without its first word there.
        log_prob: log10 of the probability of the word after its context.
        log_backoff: log10 of the weight of the level below after this n-gram; all 0 in the highest level.
    """

    word: Ids
    context: Ids
    suffix: Ids
    log_prob: Floats
    log_backoff: Floats

    def __len__(self) -> int:
        return len(self.word)


@dataclass(frozen=True)
class BackoffModel:
    """An n-gram model: its words, ``<unk>``, ``<s>`` and ``</s>`` first, and a level an order."""

    vocabulary: list[str]
    levels: list[Level]

    @property
    def order(self) -> int:
        """The length of its longest n-grams."""
        return len(self.levels)

    @property
    def counts(self) -> list[int]:
        """How many n-grams each order has."""
        return [len(level) for level in self.levels]
