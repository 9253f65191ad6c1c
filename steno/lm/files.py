"""Files of n-gram models: written in the form that their names say, and opened whatever their form is."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steno.errors import LanguageModelError
from steno.lm.arpa import arpa_model, is_arpa, read_arpa, write_arpa
from steno.lm.binary import is_binary, read_head
from steno.lm.corpus import SPECIALS, Units, check_spelling
from steno.lm.model import BackoffModel
from steno.lm.probing import write_probing
from steno.lm.trie import read_trie, write_trie

if TYPE_CHECKING:
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

KENLM_ORDER = 6
"""The highest order of the KenLM that flashlight-text bundles."""


def write_model(model: BackoffModel, path: Path, compact: bool = False) -> None:
    """Write ``.bin`` as KenLM's hash tables, or its quantised trie where that is asked for; anything else as ARPA.

    The file appears at its place when it is complete.

    Raises:
        LanguageModelError: it cannot be written there.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            if path.suffix == ".bin":
                (write_trie if compact else write_probing)(model, file)
            elif path.suffix == ".gz":
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed, io.TextIOWrapper(packed, "utf-8") as text:
                    write_arpa(model, text)
            else:
                with io.TextIOWrapper(file, "utf-8") as text:
                    write_arpa(model, text)
        partial.replace(path)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise LanguageModelError(f"{path}: cannot be written ({problem.strerror or problem})") from None


@dataclass(frozen=True)
class LanguageModelFile:
    """An n-gram model on the disk, in a form that KenLM loads.

    Args:
        order: the length of its longest n-grams.
        vocabulary: its words, or characters with ``|`` for the space, without ``<s>``, ``</s>`` and ``<unk>``.
    """

    path: Path
    order: int
    vocabulary: tuple[str, ...]

    @property
    def units(self) -> Units:
        """What its n-grams are made of."""
        return "characters" if all(len(token) == 1 for token in self.vocabulary) else "words"

    def words(self) -> list[str]:
        """The vocabulary as a list."""
        return list(self.vocabulary)

    def check_fits(self, alphabet: str) -> None:
        """Check that a recogniser can spell its words.

        Raises:
            LanguageModelError: the alphabet spells less than a tenth of the vocabulary.
        """
        check_spelling(str(self.path), self.vocabulary, self.units, alphabet)

    def kenlm(self, dictionary: "Dictionary") -> "KenLM":
        """The model in KenLM, over the tokens of a flashlight dictionary.

        Raises:
            LanguageModelError: KenLM refuses it, as one of a higher order than it was compiled for.
            ModuleNotFoundError: the extra ``lm`` is not installed.
        """
        from flashlight.lib.text.decoder.kenlm import KenLM

        try:
            return KenLM(str(self.path), dictionary)
        except RuntimeError as problem:
            reason = str(problem).partition("\n")[2].partition(".  ")[0].strip() or str(problem)
            raise LanguageModelError(
                f"{self.path}: {reason}", f"KenLM in flashlight-text reads orders up to {KENLM_ORDER}."
            ) from None


def read_model(path: Path) -> BackoffModel:
    """Read all of a model: an ARPA file, or what ``steno lm build --compact`` wrote, whose numbers are rounded.

    Raises:
        LanguageModelError: it is missing, no language model, damaged, or a hash table, which keeps no n-grams.
    """
    with _opening(path) as binary:
        return read_trie(path) if binary else arpa_model(path)


def open_lm(path: Path) -> LanguageModelFile:
    """Open a model in KenLM's binary form or as ARPA, which is read through.

    Raises:
        LanguageModelError: it is missing, is no language model, or is damaged; an ARPA file's line is named.
    """
    with _opening(path) as binary:
        head = read_head(path) if binary else read_arpa(path)
    reserved = {*SPECIALS, "<UNK>"}  # SRILM may write it in capitals
    vocabulary = tuple(word for word in head.vocabulary if word not in reserved)
    if not vocabulary:
        raise LanguageModelError(f"{path}: has no words", "Build it from text that has some.")
    return LanguageModelFile(path, len(head.counts), vocabulary)


@contextmanager
def _opening(path: Path) -> Iterator[bool]:
    """Say whether a file is binary or ARPA, and of errors of the system which file they are about."""
    try:
        binary = is_binary(path)
        if not binary and not is_arpa(path):
            raise LanguageModelError(
                f"{path}: is no language model", "Give KenLM's .bin or an .arpa file; steno lm build makes both."
            )
        yield binary
    except OSError as problem:
        raise LanguageModelError(f"{path}: {problem.strerror or problem}", "Build one with: steno lm build") from None
