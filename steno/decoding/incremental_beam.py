"""Beam search that goes on as frames arrive."""

from dataclasses import replace

import numpy as np

from steno.decoding.beam import BeamDecoder
from steno.decoding.config import CalibrationConfig
from steno.decoding.path import Emission, Hypothesis
from steno.decoding.transcript import Transcript
from steno.decoding.words import transcript


class IncrementalBeam:
    """Beam search over one utterance after the other: the final text is that of the whole emission at once.

    Args:
        decoder: used by this stream alone.
        tokens: the token of every label.
        seconds_per_frame: distance of two frames of the emission.
        calibration: of the words' confidences.
        nbest: most hypotheses in a final transcript.
    """

    def __init__(
        self,
        decoder: BeamDecoder,
        tokens: list[str],
        seconds_per_frame: float,
        calibration: CalibrationConfig | None = None,
        nbest: int = 1,
    ) -> None:
        self._decoder, self._tokens, self._seconds_per_frame = decoder, tokens, seconds_per_frame
        self._calibration, self._nbest = calibration, nbest
        self.reset(0.0)

    def reset(self, start_seconds: float) -> None:
        """Begin the next utterance, whose first frame lies at this time."""
        self._start = start_seconds
        self._parts: list[Emission] = []
        self._decoder.begin()

    def push(self, emission_tv: Emission) -> None:
        """The next log-probabilities (T, V); T may be 0."""
        if len(emission_tv):
            self._parts.append(np.array(emission_tv, dtype=np.float32))
            self._decoder.push(emission_tv)

    def partial(self) -> Transcript:
        """What has been heard so far; later frames may change any of it."""
        return replace(self._transcript([self._decoder.best()], self._emission()), alternatives=())

    def finish(self) -> Transcript:
        """What was heard, now that the utterance is over."""
        emission_tv = self._emission()
        return self._transcript(self._decoder.end(emission_tv), emission_tv)

    def _emission(self) -> Emission:
        """All that was pushed, (T, V)."""
        return np.concatenate(self._parts) if self._parts else np.zeros((0, len(self._tokens)), dtype=np.float32)

    def _transcript(self, hypotheses: list[Hypothesis], emission_tv: Emission) -> Transcript:
        return transcript(
            hypotheses,
            emission_tv,
            self._tokens,
            self._seconds_per_frame,
            self._calibration,
            self._start,
            self._nbest,
        )
