"""Scores of a set of transcripts against their references."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from steno.evaluation.bootstrap import Interval, bootstrap_interval
from steno.evaluation.wer import ErrorCounts, char_errors, total, word_errors


@dataclass(frozen=True)
class Scored:
    """One utterance with its reference, its hypothesis and their differences."""

    id: str
    reference: str
    hypothesis: str
    words: ErrorCounts
    chars: ErrorCounts


@dataclass(frozen=True)
class Scores:
    """Scored utterances and their rates."""

    utterances: tuple[Scored, ...]

    @cached_property
    def words(self) -> ErrorCounts:
        """Edits of all words."""
        return total(u.words for u in self.utterances)

    @cached_property
    def chars(self) -> ErrorCounts:
        """Edits of all characters."""
        return total(u.chars for u in self.utterances)

    @property
    def wer(self) -> float:
        """Word error rate, 0.25 for 25 %."""
        return self.words.rate

    @property
    def cer(self) -> float:
        """Character error rate."""
        return self.chars.rate

    def wer_interval(self, confidence: float = 0.95) -> Interval:
        """Bootstrap interval of the word error rate over utterances."""
        return bootstrap_interval([u.words for u in self.utterances], confidence)

    def cer_interval(self, confidence: float = 0.95) -> Interval:
        """Bootstrap interval of the character error rate over utterances."""
        return bootstrap_interval([u.chars for u in self.utterances], confidence)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "utterances": len(self.utterances),
            "wer": self.wer,
            "wer_interval_95": asdict(self.wer_interval()),
            "cer": self.cer,
            "cer_interval_95": asdict(self.cer_interval()),
            "words": asdict(self.words),
            "characters": asdict(self.chars),
            "results": [
                {"id": u.id, "reference": u.reference, "hypothesis": u.hypothesis, "wer": u.words.rate}
                for u in self.utterances
            ],
        }


def score(triples: Iterable[tuple[str, str, str]]) -> Scores:
    """Score (id, reference, hypothesis) triples of normalised text."""
    return Scores(
        tuple(
            Scored(
                identity, reference, hypothesis, word_errors(reference, hypothesis), char_errors(reference, hypothesis)
            )
            for identity, reference, hypothesis in triples
        )
    )
