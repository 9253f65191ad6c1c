"""Settings of the front-end."""

from typing import Literal, Self

from pydantic import Field, model_validator

from steno.config import Strict


class FeatureConfig(Strict):
    """What the front-end computes; the names and defaults are torchaudio's where it has them.

    ``top_db`` limits an MFCC's dynamic range below its loudest value, which a stream cannot know: set it to
    null, or ``log_mels`` to true, for features that can be streamed. ``normalize`` brings each feature to zero mean
    and unit variance over the training corpus, which a stream can do too, or over each utterance, which takes away
    more of voice, room and microphone, and needs the utterance's end.

    ``waveform`` is the samples themselves, for a model that makes features of its own (``wav2vec2``): of the settings
    only ``sample_rate`` and ``normalize`` are for it, and a frame is a sample.
    """

    kind: Literal["mfcc", "log-mel", "mel", "spectrogram", "waveform"] = "log-mel"
    sample_rate: int = Field(16_000, gt=0)
    n_fft: int = Field(400, ge=2)
    win_length: int | None = Field(None, ge=2)
    hop_length: int = Field(160, ge=1)
    power: float = Field(2.0, gt=0)
    n_mels: int = Field(80, ge=1)
    n_mfcc: int = Field(40, ge=1)
    f_min: float = Field(0.0, ge=0)
    f_max: float | None = Field(None, gt=0)
    mel_scale: Literal["htk", "slaney"] = "htk"
    norm: Literal["slaney"] | None = None
    log_mels: bool = False
    top_db: float | None = Field(80.0, gt=0)
    normalize: Literal["corpus", "utterance", "none"] = "corpus"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "waveform":
            return self._plain()
        if self.window > self.n_fft:
            raise ValueError(f"win_length {self.window} is greater than n_fft {self.n_fft}")
        if self.highest <= self.f_min or self.highest > self.sample_rate / 2:
            raise ValueError(f"f_max {self.highest} Hz is not between f_min and half the sample rate")
        if self.kind == "mfcc" and self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc {self.n_mfcc} is greater than n_mels {self.n_mels}")
        return self

    def _plain(self) -> Self:
        if self.normalize == "corpus":
            raise ValueError("kind waveform has no corpus statistics; set normalize to utterance or none")
        for name, info in type(self).model_fields.items():
            if name not in ("kind", "sample_rate", "normalize") and getattr(self, name) != info.default:
                raise ValueError(f"kind waveform makes no use of {name}")
        return self

    @property
    def window(self) -> int:
        """Length of the window in samples."""
        return self.win_length or self.n_fft

    @property
    def highest(self) -> float:
        """Upper edge of the mel bank in Hz."""
        return self.f_max or self.sample_rate / 2

    @property
    def size(self) -> int:
        """Features a frame (F)."""
        sizes = {"mfcc": self.n_mfcc, "spectrogram": self.n_fft // 2 + 1, "waveform": 1}
        return sizes.get(self.kind, self.n_mels)

    @property
    def seconds_per_frame(self) -> float:
        """Distance of two frames in seconds."""
        return (1 if self.kind == "waveform" else self.hop_length) / self.sample_rate

    @property
    def streamable(self) -> bool:
        """Whether a frame depends on no sample outside its window."""
        loudest = self.kind == "mfcc" and not self.log_mels and self.top_db is not None
        return not loudest and self.normalize != "utterance"


class MaskConfig(Strict):
    """SpecAugment: how many stripes are masked, and their greatest width.

    Widths are fractions: of the features for frequency, of the utterance for time, where ``time_frames``
    bounds the width too. Source: Park et al., "SpecAugment", Interspeech 2019.
    """

    frequency_masks: int = Field(2, ge=0)
    frequency_width: float = Field(0.3, ge=0, le=1)
    time_masks: int = Field(2, ge=0)
    time_width: float = Field(0.1, ge=0, le=1)
    time_frames: int = Field(40, ge=0)

    @property
    def draws(self) -> int:
        """Uniform random numbers that one utterance's masks take (K)."""
        return 2 * (self.frequency_masks + self.time_masks)
