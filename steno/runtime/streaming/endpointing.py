"""Where one utterance of a stream ends: rules over silence as a voice detector and as the recogniser hear it.

The rules are of the kind of Kaldi's online endpointing (Povey et al., ``online-endpoint.h``); the voice activity
detector is WebRTC's.
"""

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from steno.audio import Samples
from steno.config import Strict
from steno.errors import StenoError
from steno.runtime.streaming.events import Reason
from steno.runtime.vad import FrameVad

_SPEECH_FRAMES = 2
"""Voiced frames in a row that are taken for speech: fewer are clicks."""


class EndpointConfig(Strict):
    """When an utterance is over; the first rule that holds decides. All times are seconds of audio.

    - *pause*: something was said, and for ``pause`` neither the voice detector nor the recogniser has heard
      anything. In an utterance longer than ``long_utterance`` a shorter ``long_pause`` suffices.
    - *blank*: something was recognised, and for ``blank`` the recogniser has heard nothing more, whatever the voice
      detector says of noise. Without the voice detector (``vad`` false) ``pause`` and ``long_pause`` count.
    - *silence*: for ``silence`` nothing was said. Nothing is reported; the recogniser only starts afresh.
    - *length*: the utterance lasts ``max_utterance``. It is cut there, be it within a word.

    After all but *length* the next utterance begins ``preroll`` before the place where the rule held, within the
    silence, so that no onset is lost. ``vad_aggressiveness`` (0 … 3) is how readily the detector takes sound for
    noise.
    """

    vad: bool = True
    vad_aggressiveness: int = Field(2, ge=0, le=3)
    pause: float = Field(0.8, gt=0)
    long_utterance: float = Field(12.0, ge=0)
    long_pause: float = Field(0.3, gt=0)
    blank: float = Field(1.6, gt=0)
    silence: float = Field(5.0, gt=0)
    max_utterance: float = Field(20.0, ge=1)
    preroll: float = Field(0.2, ge=0)

    @classmethod
    def pausing(cls, pause: float) -> Self:
        """Rules that end an utterance after so many seconds of silence; those of its kind in the same proportion."""
        usual = cls()
        scaled = {name: getattr(usual, name) * pause / usual.pause for name in ("pause", "long_pause", "blank")}
        return cls(**scaled, silence=max(usual.silence, pause), preroll=min(usual.preroll, pause / 4))

    @model_validator(mode="after")
    def _advances(self) -> Self:
        if self.preroll >= min(self.pause, self.long_pause, self.blank, self.silence):
            raise ValueError(f"preroll {self.preroll:g} s is not shorter than every silence that ends an utterance")
        return self


class Voice:
    """Where there is a voice in a stream.

    Args:
        sample_rate: of the samples, in Hz.
        aggressiveness: 0 to 3.

    Raises:
        StenoError: the detector does not know the rate.
    """

    def __init__(self, sample_rate: int, aggressiveness: int) -> None:
        try:
            self._vad = FrameVad(sample_rate, aggressiveness)
        except ValueError as error:
            raise StenoError(
                f"endpointing by voice: {error}", "Set vad to false: the recogniser's own silence then decides."
            ) from None
        self._rest_n: Samples = np.zeros(0, np.float32)
        self._voiced = 0
        self.heard = 0
        """Samples that it was given."""
        self.speech_end = 0
        """The sample after the last speech; 0 if there was none."""

    def accept(self, samples_n: Samples) -> None:
        """The next samples."""
        rest_n = np.concatenate([self._rest_n, samples_n])
        first = self.heard - len(self._rest_n)
        self.heard += len(samples_n)
        spoken = self._vad.frames(rest_n)
        for number, voiced in enumerate(spoken.tolist(), start=1):
            self._voiced = self._voiced + 1 if voiced else 0
            if self._voiced >= _SPEECH_FRAMES:
                self.speech_end = first + number * self._vad.frame
        self._rest_n = rest_n[len(spoken) * self._vad.frame :]


class Endpointer:
    """Applies the rules to one stream.

    Args:
        config: the rules.
        sample_rate: of the stream, in Hz.
    """

    def __init__(self, config: EndpointConfig, sample_rate: int) -> None:
        self.config = config
        self._rate = sample_rate
        self._vad = Voice(sample_rate, config.vad_aggressiveness) if config.vad else None

    def accept(self, samples_n: Samples, position: int) -> None:
        """The samples at ``position`` of the stream; what was heard before is not heard twice."""
        if self._vad is not None:
            self._vad.accept(samples_n[max(0, self._vad.heard - position) :])

    def reason(self, start: int, now: int, decoded: int, last_token: int | None) -> Reason | None:
        """The rule that ends the utterance, or None.

        Args:
            start: the utterance's first sample.
            now: samples of the stream that were heard.
            decoded: samples of the stream whose frames were decoded.
            last_token: the sample after the last token of the utterance, None where there is none yet.
        """
        c = self.config
        length = (now - start) / self._rate
        pause = c.long_pause if length > c.long_utterance else c.pause
        if self._vad is None:
            voiced, still = False, (decoded - start) / self._rate
            blank = min(pause, c.blank)
        else:
            voiced = self._vad.speech_end > start
            still = (now - max(self._vad.speech_end, start)) / self._rate
            blank = c.blank
            wordless = still if last_token is None else (now - last_token) / self._rate
            if (voiced or last_token is not None) and min(still, wordless) >= pause:
                return "pause"
        if last_token is not None and (decoded - last_token) / self._rate >= blank:
            return "blank"
        if last_token is None and not voiced and still >= c.silence:
            return "silence"
        return "length" if length >= c.max_utterance else None
