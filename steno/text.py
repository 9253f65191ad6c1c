"""Transcripts: normalisation, the alphabet, and the tokeniser between text and CTC labels."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from pydantic import field_validator

from steno.config import Strict
from steno.errors import TextError

ENGLISH = " 'abcdefghijklmnopqrstuvwxyz"
"""The default alphabet: LibriSpeech's letters in lower case, apostrophe and space."""

BLANK = 0
"""Label of the CTC blank; the characters of the alphabet follow from 1."""

_APOSTROPHES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "`": "'", "\u00b4": "'"})


def normalize(text: str, alphabet: str = ENGLISH) -> str:
    """Bring a transcript to the form that is trained on and scored.

    In this order: Unicode NFKC; typographic apostrophes become ``'``; lower case, unless the alphabet has
    capitals; accents go where the alphabet lacks the accented letter but has the plain one; every other
    punctuation mark or symbol that the alphabet lacks becomes a space; runs of white space become one space.
    Letters and digits that the alphabet lacks stay, so that the check of the data can report them.
    """
    # Before NFKC too: it takes the acute accent for a space with a combining one.
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).translate(_APOSTROPHES)
    if not any(character.isupper() for character in alphabet):
        text = text.lower()
    known = set(alphabet)
    return " ".join("".join(_spell(character, known) for character in text).split())


def _spell(character: str, known: set[str]) -> str:
    if character in known:
        return character
    if "\u0300" <= character <= "\u036f":  # an accent that NFKC could not join to its letter
        return ""
    plain = "".join(c for c in unicodedata.normalize("NFD", character) if not unicodedata.combining(c))
    if plain and all(c in known for c in plain):
        return plain
    return " " if unicodedata.category(character)[0] in "PSZC" else character


@dataclass(frozen=True)
class CharTokenizer:
    """Characters as CTC labels: 0 is the blank, then the alphabet in its order.

    Args:
        alphabet: distinct characters, the space among them for languages that write it.
    """

    alphabet: str = ENGLISH

    def __post_init__(self) -> None:
        doubled = sorted({c for c in self.alphabet if self.alphabet.count(c) > 1})
        if not self.alphabet or doubled:
            raise TextError(
                f"alphabet {self.alphabet!r} " + (f"repeats {doubled}" if doubled else "is empty"),
                "Give each character once.",
            )

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {character: label for label, character in enumerate(self.alphabet, start=1)}

    @property
    def tokens(self) -> list[str]:
        """The token of every label; the blank's is ``<blank>``."""
        return ["<blank>", *self.alphabet]

    def __len__(self) -> int:
        return len(self.alphabet) + 1

    def unknown(self, text: str) -> list[str]:
        """The characters of the text that the alphabet lacks, sorted, each once."""
        return sorted(set(text) - self._labels.keys())

    def encode(self, text: str) -> list[int]:
        """Labels of a normalised transcript.

        Raises:
            TextError: a character is not in the alphabet.
        """
        try:
            return [self._labels[character] for character in text]
        except KeyError:
            raise TextError(
                f"{text!r} has characters outside the alphabet: {' '.join(map(repr, self.unknown(text)))}",
                "Find all of them with: steno data check MANIFEST; `--fix OUT` leaves those utterances out.",
            ) from None

    def decode(self, labels: Iterable[int]) -> str:
        """Text of labels without blanks, as they come out of a decoder."""
        return "".join(self.alphabet[label - 1] for label in labels if label != BLANK)


class TokenizerConfig(Strict):
    """The labels of a model: the characters of an alphabet."""

    kind: Literal["characters"] = "characters"
    alphabet: str = ENGLISH

    @field_validator("alphabet")
    @classmethod
    def _valid(cls, alphabet: str) -> str:
        try:
            CharTokenizer(alphabet)
        except TextError as error:
            raise ValueError(error.message) from None
        return alphabet

    def build(self) -> CharTokenizer:
        """The tokeniser that this describes."""
        return CharTokenizer(self.alphabet)


def required_frames(labels: Sequence[int]) -> int:
    """The least number of CTC frames that can spell the labels: one each, and a blank between two equal ones.

    Source: Graves et al., "Connectionist Temporal Classification", ICML 2006.
    """
    repeats = sum(1 for a, b in pairwise(labels) if a == b)
    return len(labels) + repeats


_SPACES = re.compile(r"\s+")


def words(text: str) -> list[str]:
    """The words of a transcript, split at white space."""
    return _SPACES.sub(" ", text).strip().split(" ") if text.strip() else []
