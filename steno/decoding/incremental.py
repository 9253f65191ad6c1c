"""Decoding that goes on as frames arrive: a protocol, and greedy decoding behind it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from steno.decoding.config import CalibrationConfig
from steno.decoding.path import Emission, Run, words_of
from steno.decoding.transcript import Transcript, Word
from steno.decoding.words import calibrated
from steno.text import BLANK, WORD_START


class IncrementalDecoder(Protocol):
    """Text of one utterance after the other, from pieces of their emissions.

    Any cutting of an emission into pieces gives the transcript of the whole emission.
    """

    def push(self, emission_tv: Emission) -> None:
        """The next log-probabilities (T, V); T may be 0."""

    def partial(self) -> Transcript:
        """What has been heard so far; later pieces may change it."""

    def finish(self) -> Transcript:
        """What was heard, now that the utterance is over."""

    def reset(self, start_seconds: float) -> None:
        """Begin the next utterance, whose first frame lies at this time."""


class IncrementalGreedy:
    """The best label of each frame, repeats merged, blanks dropped. Words that are over are not looked at again.

    Args:
        tokens: the token of every label.
        seconds_per_frame: distance of two frames of the emission.
        calibration: of the words' confidences.
    """

    def __init__(
        self, tokens: Sequence[str], seconds_per_frame: float, calibration: CalibrationConfig | None = None
    ) -> None:
        self._tokens, self._seconds_per_frame, self._calibration = tokens, seconds_per_frame, calibration
        self.reset(0.0)

    def reset(self, start_seconds: float) -> None:
        """Begin the next utterance, whose first frame lies at this time."""
        self._start = start_seconds
        self._frames, self._last_label, self._score = 0, BLANK, 0.0
        self._word: list[Run] = []
        self._words: list[Word] = []

    def push(self, emission_tv: Emission) -> None:
        """The next log-probabilities (T, V); T may be 0."""
        emission_tv = emission_tv[:, : len(self._tokens)]
        labels, log_probs = emission_tv.argmax(axis=1).tolist(), emission_tv.max(axis=1).tolist()
        for frame, (label, log_prob) in enumerate(zip(labels, log_probs, strict=True), start=self._frames):
            if label == self._last_label and label != BLANK:
                run = self._word[-1]
                self._word[-1] = replace(run, end=frame + 1, log_prob=max(run.log_prob, log_prob))
            elif label != BLANK:
                if self._tokens[label].startswith((" ", WORD_START)):
                    self._words += self._open()
                    self._word = []
                self._word.append(Run(label, frame, frame + 1, log_prob))
            self._last_label = label
        self._frames += len(labels)
        self._score += sum(log_probs)

    def partial(self) -> Transcript:
        """What has been heard so far; the last word may still grow."""
        words = (*self._words, *self._open())
        return Transcript(" ".join(word.text for word in words), words, score=self._score)

    def finish(self) -> Transcript:
        """What was heard, now that the utterance is over."""
        return self.partial()

    def _open(self) -> tuple[Word, ...]:
        """The word that is not over, if there is one."""
        words = words_of(self._word, self._tokens, self._seconds_per_frame, self._start)
        if self._calibration is None:
            return words
        return tuple(replace(word, confidence=calibrated(word.confidence, self._calibration)) for word in words)
