"""Word and character error rates by Levenshtein alignment (rapidfuzz, as in jiwer)."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from rapidfuzz.distance import Levenshtein

from steno.text import words


@dataclass(frozen=True)
class ErrorCounts:
    """Edits that turn references into hypotheses, and the number of reference tokens."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference: int = 0

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors by reference tokens, 0.25 for 25 %; with no reference 0 if there are no errors, else infinite."""
        if self.reference:
            return self.errors / self.reference
        return float("inf") if self.errors else 0.0

    def __add__(self, other: Self) -> "ErrorCounts":
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference + other.reference,
        )


def count_errors(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> ErrorCounts:
    """Align two sequences of tokens and count the edits."""
    kinds = [edit.tag for edit in Levenshtein.editops(reference, hypothesis)]
    return ErrorCounts(kinds.count("replace"), kinds.count("delete"), kinds.count("insert"), len(reference))


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Edits between the words of two transcripts."""
    return count_errors(words(reference), words(hypothesis))


def char_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Edits between the characters of two transcripts, spaces included."""
    return count_errors(reference, hypothesis)


def total(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """The sum of the counts: a corpus's rate is that of its sum, not the mean of its rates."""
    return sum(counts, ErrorCounts())
