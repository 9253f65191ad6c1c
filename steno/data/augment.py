"""Changes to the training audio: speed, tempo, echo, noise, gain and MP3. All of them in numpy, before batching."""

import io

import numpy as np
import soundfile

from steno.audio import Samples, resample
from steno.data.config import AugmentConfig, SilenceConfig, mp3_bit_rates
from steno.data.noise import coloured_noise
from steno.data.rooms import reverberate, room
from steno.data.tempo import change_tempo

_SMALLEST_MP3 = 0.999
"""libsndfile's compression level goes from 0, for the highest bit rate, to 1, for the lowest, which it refuses."""
_MP3_DELAY = 1105
"""Samples by which encoder and decoder together are late."""


def augmented(samples: Samples, settings: AugmentConfig, generator: np.random.Generator, sample_rate: int) -> Samples:
    """(N,) samples changed as the settings allow, by the generator's next numbers."""
    speed, tempo = _factors(settings, generator)
    samples = change_tempo(change_speed(samples, speed), tempo, sample_rate)
    if settings.echo and generator.random() < settings.echo.probability:
        response = room(
            generator.uniform(*settings.echo.rt60), generator.uniform(*settings.echo.direct_db), generator, sample_rate
        )
        samples = reverberate(samples.astype(np.float64), response).astype(np.float32)
    if settings.noise and generator.random() < settings.noise.probability:
        samples = add_noise(
            samples,
            generator.uniform(*settings.noise.snr_db),
            generator.choice([0.0, 1.0, 2.0]),
            generator,
            sample_rate,
        )
    if settings.gain_db:
        samples = change_gain(samples, generator.uniform(*settings.gain_db))
    if settings.codec and generator.random() < settings.codec.probability:
        low, high = settings.codec.kbit
        samples = through_mp3(samples, int(generator.integers(low, high, endpoint=True)), sample_rate)
    return samples


def gives_way_to(settings: AugmentConfig, generator: np.random.Generator) -> SilenceConfig | None:
    """What the next utterance gives way to, if it is one of those that do."""
    silence = settings.silence
    return silence if silence and generator.random() < silence.probability else None


def lasting(seconds: float, settings: AugmentConfig, generator: np.random.Generator) -> float:
    """How long an utterance of so many seconds is once the generator's next numbers have changed it."""
    if silence := gives_way_to(settings, generator):
        return _seconds_of_silence(silence, seconds, generator)
    speed, tempo = _factors(settings, generator)
    return seconds / speed / tempo


def _factors(settings: AugmentConfig, generator: np.random.Generator) -> tuple[float, float]:
    """Of speed and tempo."""
    speed, tempo = (
        choices[generator.integers(len(choices))] if choices else 1.0 for choices in (settings.speed, settings.tempo)
    )
    return speed, tempo


def change_speed(samples: Samples, factor: float) -> Samples:
    """Play (N,) samples ``factor`` times as fast; pitch rises with it. Source: Ko et al., Interspeech 2015."""
    return resample(samples, factor, 1.0)


def change_gain(samples: Samples, decibels: float) -> Samples:
    """Make (N,) samples louder by so many dB."""
    return samples * np.float32(10 ** (decibels / 20))


def add_noise(
    samples: Samples, snr_db: float, slope: float, generator: np.random.Generator, sample_rate: int
) -> Samples:
    """Add noise to (N,) samples at a signal-to-noise ratio in dB.

    ``slope`` is the exponent of the noise's falling power spectrum: 0 is white, 1 pink, 2 brown. A silent
    recording stays as it is.
    """
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    if power == 0 or len(samples) < 2:
        return samples
    noise = coloured_noise(len(samples), slope, generator, sample_rate) * np.sqrt(power / 10 ** (snr_db / 10))
    return samples + noise.astype(np.float32)


def through_mp3(samples: Samples, kbit: int, sample_rate: int) -> Samples:
    """(N,) samples as an MP3 of the nearest bit rate in kbit/s gives them back.

    Raises:
        ValueError: MP3 has no such sample rate.
    """
    slowest, fastest = mp3_bit_rates(sample_rate)
    level = (fastest - min(max(kbit, slowest), fastest)) / (fastest - slowest)
    file = io.BytesIO()
    soundfile.write(
        file,
        samples,
        sample_rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=min(level, _SMALLEST_MP3),
        bitrate_mode="CONSTANT",
    )
    file.seek(0)
    found: Samples = soundfile.read(file, dtype="float32")[0]
    if len(found) > len(samples):  # at few kbit/s the header that tells what to cut off has no room
        found = found[_MP3_DELAY:]
    return np.pad(found[: len(samples)], (0, max(0, len(samples) - len(found))))


def without_speech(
    settings: SilenceConfig, longest: float, generator: np.random.Generator, sample_rate: int
) -> Samples:
    """A recording (N,) in which nobody speaks, of at most ``longest`` seconds; one in eight is digital silence."""
    length = max(2, round(_seconds_of_silence(settings, longest, generator) * sample_rate))
    if generator.random() < 1 / 8:
        return np.zeros(length, np.float32)
    noise = coloured_noise(length, generator.choice([0.0, 1.0, 2.0]), generator, sample_rate)
    return (10 ** (generator.uniform(*settings.level_db) / 20) * noise).astype(np.float32)


def _seconds_of_silence(settings: SilenceConfig, longest: float, generator: np.random.Generator) -> float:
    return min(longest, generator.uniform(*settings.seconds))
