"""What a decoder heard: text, words with their times and confidences, and other hypotheses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Token:
    """One character (or word piece) that was heard, with its times in seconds from the start of the audio."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Word:
    """One word, its times in seconds, and how sure the recogniser is of it, from 0 to 1.

    Confidence is the chance that the word is right where the model folder was calibrated, as ``steno lm tune`` does,
    and a raw score of the acoustic model where it was not.
    """

    text: str
    start: float
    end: float
    confidence: float
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the hypotheses of the same audio; a higher score is a better one."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard in one recording. ``text`` is the words joined by spaces.

    ``alternatives`` are the best hypotheses, ``text`` the first of them, where more than one was asked for.
    """

    text: str
    words: tuple[Word, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    score: float = 0.0

    @property
    def confidence(self) -> float | None:
        """Mean confidence of the words, None where nothing was heard."""
        if not self.words:
            return None
        return sum(word.confidence for word in self.words) / len(self.words)
