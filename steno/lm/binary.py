"""The head of KenLM's binary files, version 5 of their format: written and read.

Source: the files that KenLM's ``build_binary`` writes; Heafield, "KenLM: faster and smaller language model queries",
WMT 2011. All numbers are little-endian. Behind the head comes what :mod:`steno.lm.probing` and
:mod:`steno.lm.trie` write, and at the end the words, ``<unk>`` first, each closed by a zero byte.
"""

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from steno.errors import LanguageModelError
from steno.lm.model import Floats, Level

PROBING, QUANTIZED_TRIE = 0, 3
"""KenLM's numbers of the two kinds that Steno writes."""

MULTIPLIER = np.float32(1.5)
"""Buckets of a hash table for each of its entries."""

_MAGIC = b"mmap lm http://kheafield.com/code format version "
_TESTED = struct.pack("<56sfffIIIQ", _MAGIC + b"5\n", 0.0, 1.0, -0.5, 1, 0xFFFFFFFF, 0, 1)
_FIXED = struct.Struct("<B3xfi?3xI")  # order, multiplier, kind, whether the words are there, version of the kind
_UNKNOWN = b"<unk>\0"


@dataclass(frozen=True)
class BinaryHead:
    """What a binary file says of itself: n-grams of each order, its words, ``<unk>`` first, and KenLM's number of its
    kind."""

    counts: list[int]
    vocabulary: list[str]
    kind: int


def header(counts: Sequence[int], kind: int, version: int) -> bytes:
    """The first bytes of a file whose words are included."""
    head = _TESTED + _FIXED.pack(len(counts), MULTIPLIER, kind, True, version)
    head += struct.pack(f"<{len(counts)}Q", *counts)
    return head.ljust(-(-len(head) // 8) * 8, b"\0")


def packed_words(words: Sequence[str]) -> bytes:
    """The last bytes of a file."""
    return b"".join(word.encode() + b"\0" for word in words)


def is_binary(path: Path) -> bool:
    """Whether a file begins as KenLM's do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_head(path: Path) -> BinaryHead:
    """What a file of any kind says of itself.

    Raises:
        LanguageModelError: it is truncated, of another version, or holds no words.
    """
    size = path.stat().st_size
    truncated = LanguageModelError(f"{path}: is truncated ({size:,} bytes)", "Copy or build it again.")
    with path.open("rb") as file:
        if file.read(len(_TESTED)) != _TESTED:
            if size < len(_TESTED):
                raise truncated
            raise LanguageModelError(
                f"{path}: is a KenLM file of another version or machine", "Make it again from its ARPA file."
            )
        fixed = file.read(_FIXED.size)
        if len(fixed) < _FIXED.size:
            raise truncated
        order, _, kind, with_words, _ = _FIXED.unpack(fixed)
        numbers = file.read(8 * order)
        if len(numbers) < 8 * order or not order:
            raise truncated
        counts = list(struct.unpack(f"<{order}Q", numbers))
        if not with_words:
            raise LanguageModelError(f"{path}: was built without its words", "Build it without -i of build_binary.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.rfind(_UNKNOWN)
            words = content[start:].split(b"\0") if start >= 0 else []
    # The words are the end of the file: when all of them are there, so is everything before them.
    if len(words) != counts[0] + 1 or words[-1]:
        raise truncated
    return BinaryHead(counts, [word.decode("utf-8", "replace") for word in words[:-1]], kind)


def marked_backoffs(level: Level, above: Level) -> Floats:
    """Back-offs of a level as KenLM wants them: 0 for n-grams that begin longer ones, else -0.

    So its decoder knows which words of a history may be forgotten.
    """
    extended = np.zeros(len(level), np.bool_)
    extended[above.context] = True
    zero = np.where(extended, np.float32(0), np.float32(-0.0))
    return np.where(level.log_backoff == 0, zero, level.log_backoff)


def murmur(data: bytes) -> int:
    """MurmurHash64A with seed 0, the hash of words. Source: Appleby, MurmurHash2, public domain."""
    mask, m, r = 0xFFFFFFFFFFFFFFFF, 0xC6A4A7935BD1E995, 47
    h = len(data) * m & mask
    whole = len(data) // 8 * 8
    for (k,) in struct.iter_unpack("<Q", data[:whole]):
        k = k * m & mask
        k = (k ^ k >> r) * m & mask
        h = (h ^ k) * m & mask
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> r) * m & mask
    return h ^ h >> r


def write_array(file: BinaryIO, array: npt.NDArray[Any]) -> None:
    """Append the bytes of an array."""
    file.write(np.ascontiguousarray(array).view(np.uint8).data)
