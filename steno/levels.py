"""Levels of a recording in 25 ms frames, and its signal-to-noise ratio."""

import numpy as np
import numpy.typing as npt

from steno.audio import Samples

FLOOR_DB = -100.0
"""The level of digital silence, in dBFS."""

FRAME_SECONDS = 0.025

_GONE_DB = 70.0
"""What is so far below the loudest frequency was cut off: speech and rooms do not go so low."""

Decibels = npt.NDArray[np.float64]


def decibels(power: npt.NDArray[np.float64] | np.float64) -> Decibels:
    """Powers as levels, at least :data:`FLOOR_DB`; power 1 is 0 dBFS."""
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))


def framed(samples: Samples, sample_rate: int) -> Samples:
    """(N,) samples as (frames, samples of 25 ms); what does not fill a frame at the end is left out."""
    size = max(1, min(len(samples), round(FRAME_SECONDS * sample_rate)))
    return samples[: len(samples) // size * size].reshape(-1, size)


def frame_powers(frames: Samples) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and mean square of each frame (frames,)."""
    means = frames.mean(axis=1).astype(np.float64)
    return means, np.einsum("ij,ij->i", frames, frames).astype(np.float64) / frames.shape[1]


def spread(frame_levels: Decibels) -> float:
    """The 95th over the 10th percentile of frame levels: speech over background, in dB.

    An estimate of the signal-to-noise ratio for speech with pauses. It reads high where a codec or a gate
    silences the pauses, and low where there are none.
    """
    background, speech = np.percentile(frame_levels, (10, 95))
    return float(speech - background)


def bandwidth(samples: Samples, sample_rate: int) -> float:
    """The highest frequency in Hz of (N,) samples, at least one, that is there at all.

    That is less than half the sample rate where a codec, a telephone or an earlier sample rate cut off what was above.
    """
    frames = framed(samples, sample_rate)
    size = frames.shape[1]
    power_f = np.square(np.abs(np.fft.rfft(frames * np.hanning(size)))).mean(axis=0)
    there = np.flatnonzero(power_f > power_f.max() * 10 ** (-_GONE_DB / 10))
    return float(there[-1] * sample_rate / size) if len(there) else 0.0


def signal_to_noise(samples: Samples, sample_rate: int) -> float:
    """:func:`spread` of (N,) samples, a constant offset of each frame removed; in dB."""
    means, powers = frame_powers(framed(samples, sample_rate))
    return spread(decibels(powers - means**2))
