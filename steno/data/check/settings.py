"""Limits of the check, each with the reason of its default."""

import math
from dataclasses import dataclass

from steno.errors import StenoError
from steno.text import ENGLISH, CharTokenizer


@dataclass(frozen=True, slots=True)
class Settings:
    """What an utterance is checked against.

    The defaults were chosen on LibriSpeech, LJSpeech and VCTK: clean speech gives no error and few warnings.

    Raises:
        StenoError: the alphabet, or the limits of the length, are not usable.
    """

    alphabet: str = ENGLISH
    pieces: bool = False
    """Whether the model's labels are pieces of words that are not learnt yet: how many frames a text needs is open."""
    seconds_per_frame: float = 0.04
    """Distance of two frames that the model emits."""
    min_seconds: float = 0.2
    """Shorter than any word."""
    max_seconds: float = 40.0
    """LibriSpeech's longest has 35.2 s."""
    silence_db: float = -55.0
    """dBFS; the loudest 25 ms of LibriSpeech's quietest recording are above -30."""
    clipped_warning: float = 2e-4
    """Share of the samples; the worst of 6 h of LibriSpeech has 3e-5, speech driven 12 dB too high 1e-3."""
    clipped_error: float = 0.02
    """Share of the samples; reached by speech that is driven about 18 dB too high."""
    duration_seconds: float = 0.1
    """An MP3's padding moves its length by less."""
    duration_share: float = 0.02
    outlier_sigmas: float = 5.0
    """Robust standard deviations of the logarithm, counted on the outlier's own side of the median."""
    short_factor: float = 8.0
    """Read speech has a long tail of short sentences: nothing within this factor of the median is an outlier."""
    long_factor: float = 4.0
    rate_factor: float = 2.0
    outlier_utterances: int = 8
    """With fewer there is no usual length to be far from."""

    def __post_init__(self) -> None:
        CharTokenizer(self.alphabet)
        if not 0 < self.seconds_per_frame < math.inf:
            raise StenoError(f"the frame shift is {self.seconds_per_frame} s", "It must be above zero.")
        if not 0 <= self.min_seconds < self.max_seconds:
            raise StenoError(
                f"no length lies between {self.min_seconds} s and {self.max_seconds} s",
                "--min-seconds must be below --max-seconds.",
            )
        if not -100 < self.silence_db < 0:
            raise StenoError(f"the level of silence is {self.silence_db} dBFS", "It must be between -100 and 0.")

    def duration_tolerance(self, seconds: float) -> float:
        """By how many seconds the manifest may be off for a recording of this length."""
        return max(self.duration_seconds, self.duration_share * seconds)
