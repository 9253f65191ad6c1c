"""From text files to one array of numbered tokens."""

import gzip
import lzma
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt

from steno import textfile
from steno.errors import LanguageModelError
from steno.text import ENGLISH, normalize

Units = Literal["words", "characters"]

SPECIALS = ("<unk>", "<s>", "</s>")
UNKNOWN, BEGIN, END = range(3)
SPACE = "|"
"""The token of the space in a model of characters, since a space separates tokens in ARPA files."""

Ids = npt.NDArray[np.int32]
Progress = Callable[[str, float], None]
"""Told what is being done, and which part of it is done, 0 to 1."""


@dataclass(frozen=True)
class Corpus:
    """Sentences as numbers, one after the other, each with its ``<s>`` and ``</s>``.

    Args:
        tokens: all of them; unsigned integers just wide enough for the vocabulary.
        vocabulary: the token of each number, the most frequent first after :data:`SPECIALS`.
        sentences: how many.
    """

    tokens: npt.NDArray[np.integer]
    vocabulary: list[str]
    sentences: int

    @property
    def words(self) -> int:
        """Of all sentences, without ``<s>`` and ``</s>``; of a corpus of characters, its characters."""
        return len(self.tokens) - 2 * self.sentences


def read_corpus(
    paths: Sequence[Path],
    units: Units = "words",
    alphabet: str = ENGLISH,
    vocabulary: int | None = None,
    progress: Progress = lambda what, part: None,
) -> Corpus:
    """Read sentences, one a line; :func:`steno.text.normalize` brings them to the form of transcripts.

    Args:
        paths: text in UTF-8 (or UTF-16 with a byte order mark), plain, ``.gz`` or ``.xz``; ``-`` is standard input.
        alphabet: of the recogniser that the model is for.
        vocabulary: keep so many of the most frequent tokens; the others become ``<unk>``.

    Raises:
        LanguageModelError: a file is missing, empty, or not such text; the line is named.
    """
    encoder = _Encoder(units, alphabet)
    parts: list[Ids] = []
    sentences = 0
    for path in paths:
        before = sentences
        for block in _blocks(path, encoder, progress):
            sentences += int((block == BEGIN).sum())
            parts.append(block)
        if sentences == before:
            raise LanguageModelError(
                f"{file_name(path)}: has no words", "A language model needs text, one sentence a line."
            )
    return _renumbered(parts, list(encoder.numbers), vocabulary, sentences)


def tokenize(text: str, units: Units, alphabet: str = ENGLISH) -> list[str]:
    """The tokens of a line: its normalised words, or their characters with :data:`SPACE` between words.

    Raises:
        LanguageModelError: the text has a token that language models reserve.
    """
    words = normalize(text, alphabet).split()
    for reserved in SPECIALS if units == "words" else (SPACE,):
        if any(reserved == word if units == "words" else reserved in word for word in words):
            raise LanguageModelError(f"the text has {reserved}, which language models reserve", "Take it out.")
    return words if units == "words" else list(SPACE.join(words))


class _Encoder(dict[str, tuple[int, ...]]):
    """Numbers of what stands between white space, made when it is first met."""

    def __init__(self, units: Units, alphabet: str) -> None:
        super().__init__()
        self.units, self.alphabet = units, alphabet
        self.numbers = {token: number for number, token in enumerate(SPECIALS)}

    def __missing__(self, raw: str) -> tuple[int, ...]:
        tokens = tokenize(raw, self.units, self.alphabet)
        if self.units == "characters" and tokens:
            tokens = [SPACE, *tokens]
        numbers = self.numbers
        self[raw] = found = tuple(numbers.setdefault(token, len(numbers)) for token in tokens)
        return found

    def line(self, text: str) -> list[int]:
        """The numbers of a whole line."""
        found = list(chain.from_iterable(map(self.__getitem__, text.split())))
        return found if self.units == "words" else found[1:]


def check_spelling(name: str, vocabulary: Sequence[str], units: Units, alphabet: str) -> None:
    """Check that an alphabet goes with a vocabulary, which is without :data:`SPECIALS`.

    Raises:
        LanguageModelError: it spells less than a tenth of it; the message begins with the name.
    """
    letters = set(alphabet) | ({SPACE} if units == "characters" and " " in alphabet else set())
    foreign = [token for token in vocabulary if not letters.issuperset(token)]
    if len(foreign) > _MOST_FOREIGN * len(vocabulary):
        lacking = sorted({character for token in foreign for character in token} - letters)
        raise LanguageModelError(
            f"{name}: does not fit the alphabet {alphabet!r}, which lacks {' '.join(lacking[:10])} and so cannot spell "
            f"{len(foreign):,} of {len(vocabulary):,} {units}, such as {foreign[0]!r}",
            "Build a language model from text in the recogniser's language and case: steno lm build --alphabet.",
        )


_MOST_FOREIGN = 0.9
_BLOCK = 1 << 22


def _blocks(path: Path, encoder: _Encoder, progress: Progress) -> Iterator[Ids]:
    """Tokens of a file, some millions at a time, cut between sentences."""
    tokens = array("i")
    for number, line in read_lines(path, progress):
        with located(path, number):
            sentence = encoder.line(line)
        if sentence:
            tokens.append(BEGIN)
            tokens.extend(sentence)
            tokens.append(END)
        if len(tokens) > _BLOCK:
            yield np.frombuffer(tokens, np.int32)
            tokens = array("i")
    if tokens:
        yield np.frombuffer(tokens, np.int32)


def read_lines(
    path: Path, progress: Progress = lambda what, part: None, what: str = "reading"
) -> Iterator[tuple[int, str]]:
    """The lines of a text, plain, ``.gz`` or ``.xz``, numbered from 1; ``-`` is standard input.

    It is UTF-8, or UTF-16 with a byte order mark.

    Raises:
        LanguageModelError: it is missing, damaged, or not such text.
    """
    name = file_name(path)
    number = 0
    with _opened(path) as (raw, stream, size):
        try:
            for number, line in enumerate(textfile.lines(stream, name, LanguageModelError), start=1):
                if not number % 20_000 and size:
                    progress(f"{what} {name}", raw.tell() / size)
                yield number, line
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as problem:
            raise LanguageModelError(f"{name}: is damaged after line {number} ({problem})") from None


@contextmanager
def located(path: Path, number: int) -> Iterator[None]:
    """Say of an error in which line it is."""
    try:
        yield
    except LanguageModelError as error:
        raise LanguageModelError(f"{file_name(path)}:{number}: {error.message}", error.hint) from None


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO, int]]:
    """A file as it lies on the disk, its text, and its size in bytes on the disk (0 if there is no telling)."""
    if str(path) == "-":
        yield sys.stdin.buffer, sys.stdin.buffer, 0
        return
    try:
        raw = path.open("rb")
    except OSError as problem:
        raise LanguageModelError(f"{path}: {problem.strerror or problem}") from None
    with ExitStack() as stack:
        stack.enter_context(raw)
        stream: BinaryIO = raw
        if path.suffix == ".gz":
            stream = cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=raw)))
        elif path.suffix == ".xz":
            stream = cast(BinaryIO, stack.enter_context(lzma.open(raw)))
        yield raw, stream, path.stat().st_size


def file_name(path: Path) -> str:
    """What a path is called in messages."""
    return "standard input" if str(path) == "-" else str(path)


def _renumbered(parts: list[Ids], tokens: list[str], limit: int | None, sentences: int) -> Corpus:
    """The same corpus with the most frequent tokens first; those beyond the limit become ``<unk>``."""
    counts = np.zeros(len(tokens), np.int64)
    for part in parts:
        counts += np.bincount(part, minlength=len(tokens))
    first = len(SPECIALS)
    ranked = np.argsort(-counts[first:], kind="stable") + first
    kept = ranked if limit is None else ranked[:limit]
    vocabulary = [*SPECIALS, *(tokens[number] for number in kept)]
    new: npt.NDArray[np.integer] = np.zeros(len(tokens), np.min_scalar_type(len(vocabulary)))  # UNKNOWN, at first
    new[:first] = range(first)
    new[kept] = np.arange(first, first + len(kept))
    whole = np.empty(sum(map(len, parts)), new.dtype)
    end = len(whole)
    while parts:  # frees each part as it goes
        part = parts.pop()
        whole[end - len(part) : end] = new[part]
        end -= len(part)
    return Corpus(whole, vocabulary, sentences)
