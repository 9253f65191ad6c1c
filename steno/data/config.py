"""Settings of loading, batching and augmentation. Needs no torch."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from steno.config import Fraction, Range, Strict
from steno.features.config import MaskConfig


class DataConfig(Strict):
    """Which manifests, and how they become batches."""

    train: Path
    dev: Path
    test: Path | None = None
    limit: int | None = Field(None, ge=1, description="use only the first N utterances of the training set")
    batch_seconds: float = Field(240.0, gt=0, description="padded seconds of audio in a batch, at most")
    batch_size: int = Field(64, ge=1, description="utterances in a batch, at most")
    passes: int = Field(
        1, ge=1, description="times that an epoch goes through the training set: more, for a small set on a fast device"
    )
    max_seconds: float = Field(35.0, gt=0, description="longer training utterances are left out, and named")
    short_first: int = Field(0, ge=0, description="so many first epochs go from short utterances to long ones")
    shuffle_shards: int | None = Field(
        None, ge=1, description="shards whose utterances are mixed, where the training set is sharded; 8 unless given"
    )
    workers: int = Field(1, ge=0, description="processes that decode and augment, for each training process")


class NoiseConfig(Strict):
    """Coloured noise, added to a share of the utterances."""

    probability: Fraction = 0.3
    snr_db: Range[float] = (10.0, 30.0)


class EchoConfig(Strict):
    """A synthetic room for a share of the utterances.

    ``rt60`` are seconds in which the echo falls by 60 dB; ``direct_db`` is how much more energy the direct sound has.
    """

    probability: Fraction = 0.3
    rt60: Range[Annotated[float, Field(ge=0.02, le=3)]] = (0.1, 0.5)
    direct_db: Range[float] = (0.0, 12.0)


_MP3 = {
    (8_000, 11_025, 12_000): (8, 64),
    (16_000, 22_050, 24_000): (8, 160),
    (32_000, 44_100, 48_000): (32, 320),
}


def mp3_bit_rates(sample_rate: int) -> tuple[int, int]:
    """The lowest and the highest in kbit/s, of MP3s of a sample rate in Hz.

    Source: ISO/IEC 11172-3, 13818-3, and the extension for lower sample rates that is known as MPEG 2.5.

    Raises:
        ValueError: MP3 has no such sample rate.
    """
    for sample_rates, bit_rates in _MP3.items():
        if sample_rate in sample_rates:
            return bit_rates
    raise ValueError(f"augment.codec: an MP3 has no sample rate of {sample_rate} Hz")


class CodecConfig(Strict):
    """MP3 and back, for a share of the utterances.

    At few kbit/s an MP3 has nothing above some frequency, and gaps below it: a model that never heard that takes them
    for something else. ``kbit`` is the range of its bit rates.
    """

    probability: Fraction = 0.5
    kbit: Range[Annotated[int, Field(ge=8, le=320)]] = (16, 48)


class SilenceConfig(Strict):
    """Recordings in which nobody speaks, in the place of a share of the utterances.

    They are coloured noise of some level, or nothing at all, and so many ``seconds`` long; their transcript is empty.
    A model that heard only speech finds a word in any noise.
    """

    probability: Fraction = 0.03
    seconds: Range[Annotated[float, Field(ge=0.1, le=30)]] = (1.0, 6.0)
    level_db: Range[Annotated[float, Field(le=0)]] = (-90.0, -20.0)


class AugmentConfig(Strict):
    """Changes to the training audio; each is off where its key is absent or null.

    ``speed`` changes the pitch too, ``tempo`` does not: one of the factors is drawn for each utterance and epoch.
    ``vocal_tract`` stretches the frequencies of log-mel features by up to that share, up or down, as another speaker's
    vocal tract would; with two views (``training.consistency``) each has its own.
    """

    speed: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...] = ()
    tempo: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...] = ()
    echo: EchoConfig | None = None
    gain_db: Range[float] | None = None
    noise: NoiseConfig | None = None
    codec: CodecConfig | None = None
    silence: SilenceConfig | None = None
    vocal_tract: float | None = Field(None, gt=0, le=0.3)
    mask: MaskConfig | None = None
