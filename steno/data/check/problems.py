"""What can be wrong with an utterance, how bad that is, and what becomes of it in the clean manifest."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error breaks or poisons training; a warning deserves a look."""

    ERROR = "error"
    WARNING = "warning"


class Kind(StrEnum):
    """Every kind of problem, in the order of the report."""

    BROKEN_LINE = "broken-line"
    DUPLICATE_ID = "duplicate-id"
    MISSING_AUDIO = "missing-audio"
    UNREADABLE_AUDIO = "unreadable-audio"
    TRUNCATED_AUDIO = "truncated-audio"
    CONSTANT_AUDIO = "constant-audio"
    SILENT_AUDIO = "silent-audio"
    CLIPPED_AUDIO = "clipped-audio"
    DUPLICATE_AUDIO = "duplicate-audio"
    WRONG_DURATION = "wrong-duration"
    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    MISSING_TEXT = "missing-text"
    EMPTY_TEXT = "empty-text"
    UNKNOWN_CHARACTERS = "unknown-characters"
    UNNORMALISED_TEXT = "unnormalised-text"
    TOO_FEW_FRAMES = "too-few-frames"
    SHARED_AUDIO = "shared-audio"
    SHARED_SPEAKER = "shared-speaker"
    SHARED_SENTENCE = "shared-sentence"
    OTHER_BANDWIDTH = "other-bandwidth"
    LENGTH_OUTLIER = "length-outlier"
    RATE_OUTLIER = "rate-outlier"


CORRECTABLE = frozenset({Kind.WRONG_DURATION, Kind.UNNORMALISED_TEXT})
"""What the clean manifest corrects, where the utterance has no other error."""

DUPLICATES = frozenset({Kind.DUPLICATE_ID, Kind.DUPLICATE_AUDIO})
"""Errors that end when the other utterance is left out."""

MEANING = {
    Kind.BROKEN_LINE: "the line is not an utterance; make the manifest again",
    Kind.DUPLICATE_ID: "an id names one utterance; the first is kept",
    Kind.MISSING_AUDIO: "no such file; fetch it, or correct the path",
    Kind.UNREADABLE_AUDIO: "cannot be decoded; fetch or export it again",
    Kind.TRUNCATED_AUDIO: "the end of the recording is lost; fetch it again",
    Kind.CONSTANT_AUDIO: "an offset and no sound; record it again",
    Kind.SILENT_AUDIO: "below the level of any speech; record it again",
    Kind.CLIPPED_AUDIO: "driven into full scale; record it with less gain",
    Kind.DUPLICATE_AUDIO: "the same samples twice; the first is kept",
    Kind.WRONG_DURATION: "the manifest states another length; was the recording cut since?",
    Kind.TOO_SHORT: "shorter than --min-seconds",
    Kind.TOO_LONG: "longer than --max-seconds; cut it at pauses",
    Kind.MISSING_TEXT: "no transcript; nothing to learn from",
    Kind.EMPTY_TEXT: "the transcript is empty",
    Kind.UNKNOWN_CHARACTERS: "outside the alphabet; spell them out (prepare --spell-out), or extend the alphabet",
    Kind.UNNORMALISED_TEXT: "not as Steno spells; capitals, accents, punctuation or spaces",
    Kind.TOO_FEW_FRAMES: "more characters than CTC can fit; wrong text, or a smaller frame shift",
    Kind.SHARED_AUDIO: "the same recording in the other manifest; its score would be a lie",
    Kind.SHARED_SPEAKER: "the voice is in the other manifest as well",
    Kind.SHARED_SENTENCE: "the sentence is in the other manifest as well",
    Kind.OTHER_BANDWIDTH: "most recordings of one manifest reach higher; train with augment.codec",
    Kind.LENGTH_OUTLIER: "far from the usual length; listen to it",
    Kind.RATE_OUTLIER: "far from the usual characters a second; is it the right text?",
}
"""What a kind means and what to do about it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of one utterance.

    ``line`` is the manifest's, from 1; ``id`` is None where the line is too broken to have one.
    """

    kind: Kind
    severity: Severity
    line: int
    id: str | None
    message: str

    @property
    def correctable(self) -> bool:
        """Whether the clean manifest corrects it."""
        return self.kind in CORRECTABLE


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem whose utterance is known from elsewhere."""

    kind: Kind
    message: str
    severity: Severity = Severity.ERROR
