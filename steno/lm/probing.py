"""KenLM's probing hash tables: exact and fast, 18 to 24 bytes an n-gram.

Behind the head:

    words                version, how many, table of (hash of the word, number)
    single words         (probability, back-off) by number, and one spare
    n-grams between      a table an order of (hash of the n-gram, probability, back-off)
    longest n-grams      a table of (hash of the n-gram, probability)

A probability that is positive, by its sign, belongs to an n-gram that ends longer ones.
"""

import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from steno.lm.binary import MULTIPLIER, PROBING, header, marked_backoffs, murmur, packed_words, write_array
from steno.lm.corpus import Ids
from steno.lm.model import BackoffModel, Floats, Level

Hashes = npt.NDArray[np.uint64]

_WORD = np.dtype([("key", "<u8"), ("number", "<u4")])
_UNIGRAM = np.dtype([("log_prob", "<f4"), ("log_backoff", "<f4")])
_MIDDLE = np.dtype([("key", "<u8"), ("log_prob", "<f4"), ("log_backoff", "<f4")])
_LONGEST = np.dtype([("key", "<u8"), ("log_prob", "<f4")])


def write_probing(model: BackoffModel, file: BinaryIO) -> None:
    """Write a model of order 2 or more."""
    file.write(header(model.counts, PROBING, version=0))
    _write_words(file, model.vocabulary)
    _write_grams(file, model.levels)
    file.write(packed_words(model.vocabulary))


def _write_words(file: BinaryIO, vocabulary: Sequence[str]) -> None:
    file.write(struct.pack("<II", 0, len(vocabulary)))
    entries = np.empty(len(vocabulary) - 1, _WORD)  # <unk> is what is not found
    entries["key"] = [murmur(word.encode()) for word in vocabulary[1:]]
    entries["number"] = range(1, len(vocabulary))
    write_array(file, probing_table(entries, buckets(len(vocabulary))))


def _write_grams(file: BinaryIO, levels: Sequence[Level]) -> None:
    key = levels[0].word.astype(np.uint64)
    first = levels[0].word
    for n, level in enumerate(levels):
        if n:
            key, first = _combined(key[level.suffix], first[level.context]), first[level.context]
        if n == 0:
            words = np.zeros(len(level) + 1, _UNIGRAM)
            words["log_prob"][:-1] = _marked_probabilities(level, levels[1])
            words["log_backoff"][:-1] = marked_backoffs(level, levels[1])
            write_array(file, words)
        elif n + 1 < len(levels):
            middle = np.empty(len(level), _MIDDLE)
            middle["key"] = key
            middle["log_prob"] = _marked_probabilities(level, levels[n + 1])
            middle["log_backoff"] = marked_backoffs(level, levels[n + 1])
            write_array(file, probing_table(middle, buckets(len(level))))
        else:
            longest = np.empty(len(level), _LONGEST)
            longest["key"], longest["log_prob"] = key, -np.abs(level.log_prob)
            write_array(file, probing_table(longest, buckets(len(level))))


def _marked_probabilities(level: Level, above: Level) -> Floats:
    ends_longer = np.zeros(len(level), np.bool_)
    ends_longer[above.suffix] = True
    magnitude = np.abs(level.log_prob)
    return np.where(ends_longer, magnitude, -magnitude)


def _combined(suffix: Hashes, first: Ids) -> Hashes:
    """Hash of an n-gram from the hash of all of it but the first word, and that word's number."""
    left = suffix * np.uint64(8978948897894561157)
    return left ^ ((first.astype(np.uint64) + np.uint64(1)) * np.uint64(17894857484156487943))


def buckets(entries: int) -> int:
    """How many buckets a table has; computed in single precision, as KenLM does."""
    return max(entries + 1, int(MULTIPLIER * np.float32(entries)))


def probing_table(entries: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """A hash table with linear probing: each entry in bucket ``key % size``, or the next free one, cyclically.

    Args:
        entries: structured, shape (entries,), with distinct keys other than 0 in the field ``key``.
        size: buckets, more than entries.
    """
    ideal = (entries["key"] % np.uint64(size)).astype(np.int64)
    by_place = np.argsort(ideal, kind="stable")
    ideal = ideal[by_place]
    row = np.arange(len(entries))
    wrapped = 0
    while True:
        # The last ones, which found no room before the end, come first, at the beginning.
        wanted = np.concatenate([np.zeros(wrapped, np.int64), ideal[: len(ideal) - wrapped]])
        place = row + np.maximum.accumulate(wanted - row)
        beyond = int((place >= size).sum())
        if not beyond:
            break
        wrapped += beyond
    table = np.zeros(size, entries.dtype)
    table[place] = entries[np.roll(by_place, wrapped)]
    return table
