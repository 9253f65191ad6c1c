"""ARPA files: written, and read with an eye on every line.

The format is that of Doug Paul's DARPA toolkit, as SRILM's ``ngram-format(5)`` describes it; log10 throughout.
"""

import math
import re
from array import array
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from steno.errors import LanguageModelError
from steno.lm.corpus import read_lines
from steno.lm.model import BackoffModel, Table

_BLOCK = 1 << 16


def write_arpa(model: BackoffModel, file: TextIO) -> None:
    """Write a model as text."""
    file.write("\\data\\\n")
    file.writelines(f"ngram {n}={count}\n" for n, count in enumerate(model.counts, start=1))
    for n, level in enumerate(model.levels, start=1):
        file.write(f"\n\\{n}-grams:\n")
        for start in range(0, len(level), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(level)))
            texts = _texts(model, n, rows)
            probabilities = level.log_prob[rows].tolist()
            if n < model.order:
                backoffs = level.log_backoff[rows].tolist()
                lines = [f"{p:.7g}\t{t}\t{b:.7g}\n" for p, t, b in zip(probabilities, texts, backoffs, strict=True)]
            else:
                lines = [f"{p:.7g}\t{t}\n" for p, t in zip(probabilities, texts, strict=True)]
            file.writelines(lines)
    file.write("\n\\end\\\n")


def _texts(model: BackoffModel, order: int, rows: npt.NDArray[np.integer]) -> list[str]:
    """The n-grams in some rows of a level, their words joined by spaces."""
    columns = []
    for level in reversed(model.levels[:order]):
        columns.append([model.vocabulary[word] for word in level.word[rows].tolist()])
        rows = level.context[rows]
    return [" ".join(words) for words in zip(*reversed(columns), strict=True)]


@dataclass(frozen=True)
class ArpaHead:
    """What an ARPA file holds: n-grams of each order, and its words, ``<unk>`` and the like among them."""

    counts: list[int]
    vocabulary: list[str]


def is_arpa(path: Path) -> bool:
    """Whether a file, plain or ``.gz``, begins as ARPA files do: with ``\\data\\``, after comments at most."""
    try:
        lines = (line for _, line in read_lines(path) if line.strip() and not line.startswith("#"))
        return next(lines, "").strip() == "\\data\\"
    except LanguageModelError:
        return not path.is_file()  # what is not there is told when it is read


def read_arpa(path: Path) -> ArpaHead:
    """Read every line of an ARPA file, plain or ``.gz``, for KenLM itself does not say where one is wrong.

    Raises:
        LanguageModelError: with the line, and what was expected there.
    """
    return _read(path, lambda numbers, gram: None)


def arpa_model(path: Path) -> BackoffModel:
    """The model of an ARPA file.

    Raises:
        LanguageModelError: see :func:`read_arpa`.
    """
    columns: list[tuple[array[int], array[float], array[float]]] = []

    def keep(numbers: list[int], gram: _Gram) -> None:
        while len(numbers) > len(columns):  # an order may have none
            columns.append((array("i"), array("f"), array("f")))
        words, log_probs, log_backoffs = columns[-1]
        words.extend(numbers)
        log_probs.append(gram.log_prob)
        log_backoffs.append(gram.log_backoff)

    head = _read(path, keep)
    tables = [
        Table(np.array(words, np.int32).reshape(-1, n), np.array(log_probs), np.array(log_backoffs))
        for n, (words, log_probs, log_backoffs) in enumerate(columns, start=1)
    ]
    return BackoffModel.of(head.vocabulary, tables)


def _read(path: Path, keep: "Callable[[list[int], _Gram], None]") -> ArpaHead:
    """Read a file, and hand on each n-gram, with the numbers of its words."""
    reader = _Reader(path)
    counts = reader.counts()
    known: dict[str, int] = {}
    for order, count in enumerate(counts, start=1):
        reader.section(f"\\{order}-grams:")
        for _ in range(count):
            gram = reader.gram(order, with_backoff=order < len(counts))
            if order == 1:
                known.setdefault(gram.words[0], len(known))
            elif not known.keys() >= set(gram.words):
                unknown = next(word for word in gram.words if word not in known)
                raise reader.error(f"{unknown!r} is not among the 1-grams")
            keep([known[word] for word in gram.words], gram)
        if order == 1:
            reader.check_specials(known)
    reader.section("\\end\\")
    return ArpaHead(counts, list(known))


class _Gram(NamedTuple):
    words: list[str]
    log_prob: float
    log_backoff: float


class _Reader:
    """The lines of a file, one after the other, and where they are."""

    def __init__(self, path: Path) -> None:
        self._path, self._number = path, 0
        self._lines = read_lines(path)

    def error(self, message: str) -> LanguageModelError:
        return LanguageModelError(
            f"{self._path}:{self._number}: {message}", "Repair this line, or build the file again."
        )

    def _next(self, expected: str) -> str:
        for self._number, line in self._lines:  # noqa: B020
            return line.rstrip("\r\n")
        raise LanguageModelError(
            f"{self._path}: ends after line {self._number}, where {expected} was expected", "Copy or build it again."
        )

    def _filled(self, expected: str) -> str:
        while not (line := self._next(expected)).strip() or line.startswith("#"):
            pass
        return line

    def section(self, name: str) -> None:
        """Pass over the head of a section."""
        line = self._filled(name)
        if line.strip() != name:
            raise self.error(f"expected {name}, found {_short(line)}")

    def counts(self) -> list[int]:
        """The lines ``ngram N=COUNT``, and the empty one after them."""
        self.section("\\data\\")
        counts: list[int] = []
        while (line := self._next("ngram 1=COUNT") if counts else self._filled("ngram 1=COUNT")).strip():
            found = re.fullmatch(rf"ngram {len(counts) + 1}\s*=\s*(\d+)\s*", line)
            if found is None:
                raise self.error(f"expected ngram {len(counts) + 1}=COUNT, found {_short(line)}")
            counts.append(int(found[1]))
        return counts

    def gram(self, order: int, with_backoff: bool) -> _Gram:
        """A line ``LOG10<tab>WORDS[<tab>LOG10]``."""
        wanted = f"one of the {order}-grams that are announced"
        line = self._next(wanted)
        fields = line.split("\t")
        if not line.strip() or line.startswith("\\"):
            raise self.error(f"expected {wanted}, found {_short(line)}")
        if not 2 <= len(fields) <= 2 + with_backoff:
            shape = "probability, words" + (", back-off" if with_backoff else "")
            raise self.error(f"expected {shape} with tabs between them, found {_short(line)}")
        words = fields[1].split(" ")
        if len(words) != order or "" in words:
            raise self.error(f"expected {order} words with spaces between them, found {_short(fields[1])}")
        log_prob = self._number_of(fields[0])
        if log_prob > 0:
            raise self.error(f"expected a log10 probability of at most 0, found {_short(fields[0])}")
        return _Gram(words, log_prob, self._number_of(fields[2]) if len(fields) == 3 else 0.0)

    def _number_of(self, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(f"expected a number, found {_short(text)}")
        return number

    def check_specials(self, known: Collection[str]) -> None:
        """That sentences can begin and end."""
        for special in ("<s>", "</s>"):
            if special not in known:
                raise self.error(f"the 1-grams end here without {special}")


def _short(line: str) -> str:
    return repr(line if len(line) <= 60 else f"{line[:60]}…") if line.strip() else "an empty line"
