"""Transcripts: normalisation, the alphabet, and the tokeniser between text and CTC labels."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from steno.config import Strict
from steno.errors import TextError

ENGLISH = " 'abcdefghijklmnopqrstuvwxyz"
"""The default alphabet: LibriSpeech's letters in lower case, apostrophe and space."""

BLANK = 0
"""Label of the CTC blank; the characters of the alphabet, or the pieces, follow from 1."""

WORD_START = "\u2581"
"""What a piece begins with that begins a word, in sentencepiece's writing."""

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

    @property
    def begins_word(self) -> list[bool]:
        """Whether each label begins a word by itself; characters do not, a space comes before a word."""
        return [False] * len(self)

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


@dataclass(frozen=True)
class PieceTokenizer:
    """Pieces of words as CTC labels: 0 is the blank, then the pieces in their order.

    Spells as sentencepiece does with the same pieces and scores, and does not need it. A piece that begins a word
    starts with :data:`WORD_START`. Sources: Sennrich et al., "Neural Machine Translation of Rare Words with Subword
    Units", ACL 2016 (bpe); Kudo, "Subword Regularization", ACL 2018 (unigram).

    Args:
        kind: bpe merges the best pair of neighbours until there is none; unigram takes the best of all spellings.
        pieces: distinct pieces, each with its score; the greater, the better.
        alphabet: characters that texts consist of.
    """

    kind: Literal["bpe", "unigram"]
    pieces: tuple[tuple[str, float], ...]
    alphabet: str = ENGLISH

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {piece: label for label, (piece, _) in enumerate(self.pieces, start=1)}

    @cached_property
    def _scores(self) -> dict[str, float]:
        return dict(self.pieces)

    @cached_property
    def _longest(self) -> int:
        return max((len(piece) for piece, _ in self.pieces), default=0)

    @cached_property
    def _spelled(self) -> dict[str, list[int] | None]:
        """Words that were spelled before; None where no pieces make up the word."""
        return {}

    @property
    def tokens(self) -> list[str]:
        """The token of every label; the blank's is ``<blank>``."""
        return ["<blank>", *(piece for piece, _ in self.pieces)]

    @property
    def begins_word(self) -> list[bool]:
        """Whether each label begins a word by itself."""
        return [token.startswith(WORD_START) for token in self.tokens]

    def __len__(self) -> int:
        return len(self.pieces) + 1

    def unknown(self, text: str) -> list[str]:
        """The characters of the text that the alphabet or the pieces lack, sorted, each once."""
        known = set(self.alphabet) & {*self._labels, " "}
        return sorted(set(text) - known)

    def encode(self, text: str) -> list[int]:
        """Labels of a normalised transcript.

        Raises:
            TextError: a character is not in the alphabet, or no pieces spell it.
        """
        labels: list[int] = []
        for word in text.split():
            if word not in self._spelled:
                pieces = (self._merged if self.kind == "bpe" else self._best)(WORD_START + word)
                known = not self.unknown(word) and all(piece in self._labels for piece in pieces)
                self._spelled[word] = [self._labels[piece] for piece in pieces] if known else None
            spelled = self._spelled[word]
            if spelled is None:
                raise TextError(
                    f"{text!r} has characters outside the alphabet or the pieces: "
                    f"{' '.join(map(repr, self.unknown(text))) or repr(word)}",
                    "Find all of them with: steno data check MANIFEST; `--fix OUT` leaves those utterances out.",
                )
            labels += spelled
        return labels

    def decode(self, labels: Iterable[int]) -> str:
        """Text of labels without blanks, as they come out of a decoder."""
        joined = "".join(self.pieces[label - 1][0] for label in labels if label != BLANK)
        return " ".join(joined.replace(WORD_START, " ").split())

    def _merged(self, word: str) -> list[str]:
        parts = list(word)
        while True:
            pairs = [(self._scores[a + b], -i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in self._scores]
            if not pairs:
                return parts
            at = -max(pairs)[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]

    def _best(self, word: str) -> list[str]:
        """The spelling whose scores have the greatest sum; a single list of the whole word if there is none."""
        best: list[tuple[float, int]] = [(0.0, 0)]
        for end in range(1, len(word) + 1):
            ways = [
                (best[start][0] + self._scores[word[start:end]], start)
                for start in range(max(0, end - self._longest), end)
                if word[start:end] in self._scores
            ]
            best.append(max(ways, default=(float("-inf"), 0)))
        parts: list[str] = []
        end = len(word)
        while end:
            parts.append(word[best[end][1] : end])
            end = best[end][1]
        return parts[::-1]


Tokenizer = CharTokenizer | PieceTokenizer


class TokenizerConfig(Strict):
    """The labels of a model: the characters of an alphabet, or pieces of words.

    Pieces are learnt from the training transcripts when training starts, ``size`` of them at most, or taken from a
    ``model`` of sentencepiece. A model folder holds the pieces themselves with their scores, and the digest of both,
    so that whoever uses it does not need sentencepiece.
    """

    kind: Literal["characters", "bpe", "unigram"] = "characters"
    alphabet: str = ENGLISH
    size: int | None = Field(None, ge=2)
    model: Path | None = None
    pieces: tuple[tuple[str, float], ...] = ()
    digest: str | None = None

    @field_validator("alphabet")
    @classmethod
    def _valid(cls, alphabet: str) -> str:
        try:
            CharTokenizer(alphabet)
        except TextError as error:
            raise ValueError(error.message) from None
        return alphabet

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "characters":
            given = [name for name in ("size", "model", "pieces", "digest") if getattr(self, name)]
            if given:
                raise ValueError(f"{given[0]} is for pieces, and kind is characters; set kind to bpe or unigram")
        elif (self.size is None) == (self.model is None):
            raise ValueError(f"kind {self.kind} takes one of size and model: how many pieces to learn, or from where")
        if self.pieces and self.digest != pieces_digest(self.pieces):
            raise ValueError("digest is not that of the pieces, which were changed after they were learnt")
        return self

    def with_pieces(self, pieces: Sequence[tuple[str, float]]) -> Self:
        """The same with these pieces."""
        kept = tuple(pieces)
        return self.model_copy(update={"pieces": kept, "digest": pieces_digest(kept)})

    def build(self) -> Tokenizer:
        """The tokeniser that this describes.

        Raises:
            TextError: its pieces have not been learnt yet.
        """
        if self.kind == "characters":
            return CharTokenizer(self.alphabet)
        if not self.pieces:
            raise TextError("the tokeniser has no pieces yet", "They are learnt when training starts.")
        return PieceTokenizer(self.kind, self.pieces, self.alphabet)


def pieces_digest(pieces: Sequence[tuple[str, float]]) -> str:
    """What tells these pieces and scores from others, in hexadecimal."""
    return hashlib.sha256("\n".join(f"{piece}\t{score!r}" for piece, score in pieces).encode()).hexdigest()


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
