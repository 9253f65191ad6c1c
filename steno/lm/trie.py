"""KenLM's trie with quantised numbers: a quarter of the size of hash tables, and lookups that take a little longer.

N-grams are stored from their last word to their first: the children of an n-gram are those that it ends. Behind the
head:

    words                how many, then the sorted hashes of them, and one spare; a word's number is its rank from 1
    bins                 version, bits of probabilities and of back-offs; an order's 256 probabilities and back-offs
    single words         (probability, back-off, first child) by number, and two more
    n-grams between      an order's (first word, back-off's bin, probability's bin, first child), packed into bits
    longest n-grams      (first word, probability's bin), packed into bits

Source of the bins: Federico and Bertoldi, "How many bits are needed to store probabilities for phrase-based
translation?", WMT 2006.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from steno.errors import LanguageModelError
from steno.lm.binary import QUANTIZED_TRIE, header, marked_backoffs, murmur, packed_words, read_head, write_array
from steno.lm.corpus import UNKNOWN
from steno.lm.model import BackoffModel, Floats, Level, Table

Integers = npt.NDArray[np.int64]

_BITS = 8
_BINS = 1 << _BITS
_RESERVED = np.array([-0.0, 0.0], np.float32)
_UNIGRAM = np.dtype([("log_prob", "<f4"), ("log_backoff", "<f4"), ("child", "<u8")])


def write_trie(model: BackoffModel, file: BinaryIO) -> None:
    """Write a model of order 2 or more."""
    hashes = np.array([murmur(word.encode()) for word in model.vocabulary], np.uint64)
    hashes[UNKNOWN] = 0  # <unk> is what is not found, and stays number 0
    by_hash = np.argsort(hashes)
    number = np.empty(len(by_hash), np.int64)
    number[by_hash] = np.arange(len(by_hash))
    file.write(header(model.counts, QUANTIZED_TRIE, version=1))
    file.write(struct.pack("<Q", len(hashes) - 1))
    write_array(file, np.append(hashes[by_hash][1:], np.uint64(0)))
    probabilities, backoffs = _bins(model.levels)
    file.write(struct.pack("<BBB5x", 2, _BITS, _BITS))
    for n, bins in enumerate(probabilities):
        write_array(file, bins)
        if n < len(backoffs):
            write_array(file, backoffs[n])
    _write_grams(file, model.levels, number, probabilities, backoffs)
    file.write(packed_words([model.vocabulary[word] for word in by_hash]))


def _bins(levels: Sequence[Level]) -> tuple[list[Floats], list[Floats]]:
    """Bins of the probabilities of orders 2 and more, and of the back-offs of those below the highest."""
    probabilities = [equal_bins(level.log_prob, _BINS) for level in levels[1:]]
    backoffs = []
    for level in levels[1:-1]:
        backoffs.append(
            np.append(_RESERVED, equal_bins(level.log_backoff[level.log_backoff != 0], _BINS - len(_RESERVED)))
        )
    return probabilities, backoffs


def _write_grams(
    file: BinaryIO, levels: Sequence[Level], number: Integers, probabilities: list[Floats], backoffs: list[Floats]
) -> None:
    words = len(number)
    word_bits = words.bit_length()
    rank, first = number, levels[0].word
    rows = np.argsort(rank)
    for n, level in enumerate(levels):
        above = levels[n + 1] if n + 1 < len(levels) else None
        if n:
            first = first[level.context]
            key = rank[level.suffix] * (words + 1) + number[first]
            rows = np.argsort(key)
            rank = np.empty(len(rows), np.int64)
            rank[rows] = np.arange(len(rows))
            fields = [(number[first][rows], word_bits)]
        if above is None:
            fields.append((nearest(probabilities[n - 1], level.log_prob[rows]), _BITS))
            write_array(file, packed(fields))
            continue
        children = np.bincount(rank[above.suffix], minlength=len(level))
        child = np.concatenate([[0], np.cumsum(children)])
        backoff = marked_backoffs(level, above)[rows]
        if n == 0:
            singles = np.zeros(words + 2, _UNIGRAM)
            singles["log_prob"][:-2], singles["log_backoff"][:-2] = -np.abs(level.log_prob[rows]), backoff
            singles["child"][:-1] = child
            write_array(file, singles)
        else:
            binned = nearest(backoffs[n - 1][len(_RESERVED) :], backoff) + len(_RESERVED)
            binned = np.where(backoff == 0, np.where(np.signbit(backoff), 0, 1), binned)
            fields.append((binned, _BITS))
            fields.append((nearest(probabilities[n - 1], level.log_prob[rows]), _BITS))
            # One entry more closes the last one's children.
            fields = [(np.append(values, 0), bits) for values, bits in fields]
            fields.append((child, len(above).bit_length()))
            write_array(file, packed(fields, spare=0))


def read_trie(path: Path) -> BackoffModel:
    """The model of a file that :func:`write_trie` or KenLM wrote, its numbers as they were rounded.

    Raises:
        LanguageModelError: it is truncated, or of another kind.
    """
    head = read_head(path)
    if head.kind != QUANTIZED_TRIE:
        raise LanguageModelError(
            f"{path}: cannot be read back: it holds hashes of n-grams, not the n-grams",
            "Give the same as .arpa, or as .bin that steno lm build --compact wrote.",
        )
    words = len(head.vocabulary)
    content = memoryview(path.read_bytes())[len(header(head.counts, QUANTIZED_TRIE, version=1)) + 8 * (words + 1) :]
    _, probability_bits, backoff_bits = struct.unpack_from("<BBB", content)
    content = content[8:]

    def floats(bits: int) -> Floats:
        nonlocal content
        found, content = np.frombuffer(content, "<f4", 1 << bits), content[4 << bits :]
        return found

    between = range(1, len(head.counts) - 1)
    bins = [(floats(probability_bits), floats(backoff_bits)) for _ in between]
    last_bins = floats(probability_bits)
    singles, content = np.frombuffer(content, _UNIGRAM, words + 2), content[(words + 2) * _UNIGRAM.itemsize :]
    tables = [Table(np.arange(words)[:, None], singles["log_prob"][:-2], singles["log_backoff"][:-2])]
    child = singles["child"][:-1].astype(np.int64)
    for n, count in enumerate(head.counts[1:], start=1):
        widths = [words.bit_length(), probability_bits]
        if n in between:
            widths = [widths[0], backoff_bits, probability_bits, head.counts[n + 1].bit_length()]
        first, *rest = unpacked(content, count + 1, widths)
        content = content[_packed_size(count + 1, sum(widths)) :]
        parent = np.repeat(np.arange(len(tables[-1].words)), np.diff(child))
        grams = np.column_stack([first[:-1], tables[-1].words[parent]])
        if n in between:
            backoff, probability, child = rest
            of_probability, of_backoff = bins[n - 1]
            tables.append(Table(grams, of_probability[probability[:-1]], of_backoff[backoff[:-1]]))
        else:
            tables.append(Table(grams, last_bins[rest[0][:-1]], np.zeros(count, np.float32)))
    return BackoffModel.of(head.vocabulary, tables)


def equal_bins(values: Floats, bins: int) -> Floats:
    """The means of equally full bins of sorted values."""
    if not len(values):
        return np.full(bins, -np.inf, np.float32)
    edges = np.arange(bins + 1) * len(values) // bins
    sums = np.concatenate([[0.0], np.cumsum(np.sort(values), dtype=np.float64)])
    sizes = np.diff(edges)
    means = np.divide(np.diff(sums[edges]), sizes, out=np.full(bins, -np.inf), where=sizes > 0)
    return np.maximum.accumulate(means).astype(np.float32)


def nearest(bins: Floats, values: Floats) -> Integers:
    """The number of the sorted bin that is nearest to each value."""
    above = np.searchsorted(bins, values).clip(1, len(bins) - 1)
    low, high = bins[above - 1], bins[above]
    return np.where(values - low < high - values, above - 1, above)


def packed(fields: Sequence[tuple[Integers, int]], spare: int = 1) -> npt.NDArray[np.uint8]:
    """Entries of several fields, bit after bit, the lowest first, with room for a reader of 8 bytes at the end.

    Args:
        fields: of each the values, shape (entries,), and its bits, at most 57.
        spare: zero entries to add.
    """
    total = sum(bits for _, bits in fields)
    entries = len(fields[0][0])
    blocks = -(-entries // 8)
    table = np.zeros((blocks, total), np.uint8)  # eight entries fill as many bytes as one has bits
    for start in range(8):
        offset = start * total
        for values, bits in fields:
            at, shift = divmod(offset, 8)
            part = values[start::8].astype(np.uint64) << np.uint64(shift)
            for byte in range(-(-(shift + bits) // 8)):
                table[: len(part), at + byte] |= (part >> np.uint64(8 * byte)).astype(np.uint8)
            offset += bits
    whole = np.zeros(_packed_size(entries + spare, total), np.uint8)
    flat = table.reshape(-1)[: len(whole)]
    whole[: len(flat)] = flat
    return whole


def _packed_size(entries: int, bits: int) -> int:
    """Bytes of entries of so many bits, spare ones included."""
    return (entries * bits + 7) // 8 + 8


def unpacked(content: memoryview, entries: int, widths: Sequence[int]) -> Iterator[Integers]:
    """The fields (entries,) of entries that :func:`packed` wrote, given their bits, at most 57."""
    flat = np.frombuffer(content, np.uint8, _packed_size(entries, sum(widths)))
    start = np.arange(entries) * sum(widths)
    for bits in widths:
        value = np.zeros(entries, np.uint64)
        for byte in range(-(-(bits + 7) // 8)):
            value |= flat[start // 8 + byte].astype(np.uint64) << np.uint64(8 * byte)
        yield ((value >> (start % 8).astype(np.uint64)) & np.uint64((1 << bits) - 1)).astype(np.int64)
        start = start + bits
