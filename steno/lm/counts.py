"""Counting n-grams: one table an order, from sorted numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steno.lm.corpus import BEGIN, Corpus, Ids, Progress

_CHUNK = 1 << 23
_NONE = -1


@dataclass(frozen=True)
class Grams:
    """The n-grams of one order, sorted by context and word; arrays of shape (n-grams,).

    Args:
        word: the last word.
        context: row of the n-gram without its last word in the table of the order below.
        suffix: row of the n-gram without its first word there.
        count: how often it occurs.
        begins: whether its first word is ``<s>``.
    """

    word: Ids
    context: Ids
    suffix: Ids
    count: npt.NDArray[np.int64]
    begins: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.word)


def count_grams(corpus: Corpus, order: int, progress: Progress = lambda what, part: None) -> Iterator[Grams]:
    """Count the n-grams of every order up to one, within sentences: a table each, the lowest first.

    The n-gram that ends at a token is numbered by the pair (n-gram of the order below that ends before it, word),
    so that any order and any vocabulary fit into 64 bits.
    """
    size = len(corpus.vocabulary)
    below = corpus.tokens.astype(np.int32)
    word = np.arange(size, dtype=np.int32)
    none = np.zeros(size, np.int32)
    table = Grams(word, none, none, np.bincount(below, minlength=size).astype(np.int64), word == BEGIN)
    yield table
    for n in range(2, order + 1):
        what = f"counting {n}-grams"
        progress(what, 0)
        ids = np.full(len(below), _NONE, np.int32)
        keys, counts, places, ends = [], [], [], []
        starts = range(1, len(below), _CHUNK)
        for start in starts:
            here = np.s_[start : start + _CHUNK]
            words, contexts = corpus.tokens[here], below[start - 1 : start - 1 + len(corpus.tokens[here])]
            valid = np.flatnonzero((contexts != _NONE) & (words != BEGIN))
            key = contexts[valid].astype(np.int64) * size + words[valid]
            unique, inverse, count, place = _distinct(key)
            ids[start + valid] = inverse
            keys.append(unique)
            counts.append(count)
            places.append(start + valid[place])
            ends.append(start + len(words))
            progress(what, (start + _CHUNK) / (len(below) + _CHUNK))
        lengths = [len(key) for key in keys]
        unique, inverse, _, place = _distinct(np.concatenate(keys))
        keys.clear()
        count = np.bincount(inverse, weights=np.concatenate(counts), minlength=len(unique)).astype(np.int64)
        where = np.concatenate(places)[place]
        table = Grams(
            word=(unique % size).astype(np.int32),
            context=(unique // size).astype(np.int32),
            suffix=below[where],
            count=count,
            begins=table.begins[unique // size],
        )
        yield table
        if n < order:
            offsets = np.cumsum([0, *lengths])
            for start, end, low, high in zip(starts, ends, offsets, offsets[1:], strict=False):
                part = ids[start:end]
                part[part != _NONE] = inverse[low:high][part[part != _NONE]]
        below = ids


def _distinct(
    key: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], Ids, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sorted distinct keys; for each key its place among them; for each of them how often it is there and where."""
    by_key = np.argsort(key)
    ordered = key[by_key]
    new = np.ones(len(key), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    inverse = np.empty(len(key), np.int32)
    inverse[by_key] = np.cumsum(new, dtype=np.int32) - np.int32(1)
    starts = np.flatnonzero(new)
    return ordered[starts], inverse, np.diff(starts, append=len(key)), by_key[starts]
