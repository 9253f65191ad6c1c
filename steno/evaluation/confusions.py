"""Which words are taken for which, which are missed, and which are made up."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from steno.evaluation.alignment import align
from steno.evaluation.score import Scored
from steno.text import words

_Key = TypeVar("_Key", str, tuple[str, str])


@dataclass(frozen=True)
class Confusion:
    """A word of the reference taken for another, so many times out of all its occurrences."""

    reference: str
    hypothesis: str
    count: int
    occurrences: int


@dataclass(frozen=True)
class WordCount:
    """A word that was deleted or inserted; ``occurrences`` of it in the references."""

    word: str
    count: int
    occurrences: int


@dataclass(frozen=True)
class Confusions:
    """The most frequent word errors, each list from the most frequent."""

    substituted: tuple[Confusion, ...]
    deleted: tuple[WordCount, ...]
    inserted: tuple[WordCount, ...]


def confusions(utterances: Iterable[Scored], most: int = 20) -> Confusions:
    """The ``most`` frequent of each kind of error; of equally frequent ones those in the order of the alphabet."""
    substituted: Counter[tuple[str, str]] = Counter()
    deleted: Counter[str] = Counter()
    inserted: Counter[str] = Counter()
    spoken: Counter[str] = Counter()
    for utterance in utterances:
        reference = words(utterance.reference)
        spoken.update(reference)
        for pair in align(reference, words(utterance.hypothesis)):
            if pair.kind == "substitution":
                substituted[pair.reference or "", pair.hypothesis or ""] += 1
            elif pair.kind == "deletion":
                deleted[pair.reference or ""] += 1
            elif pair.kind == "insertion":
                inserted[pair.hypothesis or ""] += 1
    return Confusions(
        tuple(Confusion(*pair, count, spoken[pair[0]]) for pair, count in _frequent(substituted, most)),
        tuple(WordCount(word, count, spoken[word]) for word, count in _frequent(deleted, most)),
        tuple(WordCount(word, count, spoken[word]) for word, count in _frequent(inserted, most)),
    )


def _frequent(counter: Counter[_Key], most: int) -> list[tuple[_Key, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most]
