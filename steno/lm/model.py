"""A back-off n-gram model in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from steno.lm.corpus import BEGIN, SPECIALS, Ids

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


class Table(NamedTuple):
    """The n-grams of one order as a file lists them, in any order: words (N, n), the first one first, as numbers in a
    vocabulary, log10 of probabilities and of back-off weights (N,)."""

    words: npt.NDArray[np.integer]
    log_prob: Floats
    log_backoff: Floats


@dataclass(frozen=True)
class BackoffModel:
    """An n-gram model: its words, ``<unk>``, ``<s>`` and ``</s>`` first, and a level an order."""

    vocabulary: list[str]
    levels: list[Level]

    @classmethod
    def of(cls, vocabulary: Sequence[str], tables: Sequence[Table]) -> Self:
        """A model from its n-grams, a table an order.

        What a longer n-gram has and no shorter one lists, as in files that were pruned, is put there with the
        probability that it has anyway. A word without an n-gram of its own has next to none.
        """
        ordered = [*SPECIALS, *(word for word in vocabulary if word not in SPECIALS)]
        number = {word: place for place, word in enumerate(ordered)}
        new_v = np.array([number[word] for word in vocabulary])
        tables = [table._replace(words=new_v[table.words]) for table in tables]
        try:
            return cls(ordered, _levels(tables, len(ordered)))
        except KeyError:
            return cls(ordered, _levels(_closed(tables, len(ordered)), len(ordered)))

    def log10(self, tokens: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """log10 of the probability of each token (N,) after those before it in its sentence; that of ``<s>`` is none.

        Args:
            tokens: numbers in the vocabulary (N,), each sentence from its ``<s>``.
        """
        found = self.levels[0].log_prob[tokens].astype(np.float64)
        row = tokens.astype(np.int64)  # of the n-gram that ends at each token, -1 where there is none
        for level, below in zip(self.levels[1:], self.levels[:-1], strict=True):
            context = np.concatenate([[-1], row[:-1]])
            context[tokens == BEGIN] = -1
            key = level.context.astype(np.int64) * len(self.vocabulary) + level.word
            wanted = context * len(self.vocabulary) + tokens
            place = np.searchsorted(key, wanted).clip(max=len(key) - 1)
            there = (context >= 0) & (key[place] == wanted)
            found += np.where(context >= 0, below.log_backoff[context], 0)
            found[there] = level.log_prob[place[there]]
            row = np.where(there, place, -1)
        return found

    @property
    def order(self) -> int:
        """The length of its longest n-grams."""
        return len(self.levels)

    @property
    def counts(self) -> list[int]:
        """How many n-grams each order has."""
        return [len(level) for level in self.levels]


NEVER = -99.0
"""log10 of the probability of what is not predicted, as ARPA files have it."""


def _levels(tables: Sequence[Table], size: int) -> list[Level]:
    """Tables as levels, of so many words.

    Raises:
        KeyError: an n-gram's context or suffix is not below it, or a word has no n-gram of its own.
    """
    levels: list[Level] = []
    keys: list[npt.NDArray[np.int64]] = []
    for n, (words, log_prob, log_backoff) in enumerate(tables):
        context, suffix = (_rows(part, keys, size) for part in (words[:, :-1], words[:, 1:]))
        key = context * size + words[:, -1]
        order = np.argsort(key)
        keys.append(key[order])
        context, suffix, known = context[order], suffix[order], log_prob[order]
        if n:
            below = levels[-1]
            known = np.where(np.isnan(known), below.log_backoff[context] + below.log_prob[suffix], known)
        levels.append(
            Level(
                word=words[order, -1].astype(np.int32),
                context=context.astype(np.int32),
                suffix=suffix.astype(np.int32),
                log_prob=known,
                log_backoff=log_backoff[order],
            )
        )
    if len(levels[0]) != size:
        raise KeyError(size)
    return levels


def _closed(tables: Sequence[Table], size: int) -> list[Table]:
    """The same with every n-gram's context and suffix among those below; NaN for their probabilities."""
    closed = list(tables)
    for n in range(len(closed) - 1, 0, -1):
        words = closed[n].words
        _add(closed, n - 1, np.unique(np.concatenate([words[:, :-1], words[:, 1:]]), axis=0), np.nan)
    _add(closed, 0, np.arange(size)[:, None], NEVER)
    return closed


def _add(tables: list[Table], n: int, words: npt.NDArray[np.integer], log_prob: float) -> None:
    """Add those of these n-grams that are not in a table."""
    table = tables[n]
    missing = words[~np.isin(_whole(words), _whole(table.words))]
    if len(missing):
        tables[n] = Table(
            np.concatenate([table.words, missing]),
            np.append(table.log_prob, np.full(len(missing), log_prob, np.float32)),
            np.append(table.log_backoff, np.zeros(len(missing), np.float32)),
        )


def _whole(words: npt.NDArray[np.integer]) -> npt.NDArray[Any]:
    """Each n-gram (N, n) as one thing that can be compared (N,)."""
    rows = np.ascontiguousarray(words, np.int64)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]


def _rows(words: npt.NDArray[np.integer], keys: Sequence[npt.NDArray[np.int64]], size: int) -> npt.NDArray[np.int64]:
    """In which rows n-grams (N, n) are, given the sorted numbers of those of each order up to theirs.

    Raises:
        KeyError: one is nowhere.
    """
    row = np.zeros(len(words), np.int64)
    for column, key in zip(words.T, keys, strict=False):
        wanted = row * size + column
        row = np.searchsorted(key, wanted)
        if (row == len(key)).any() or (key[row] != wanted).any():
            raise KeyError
    return row
