"""Coloured noise."""

import numpy as np

from steno.audio import SAMPLE_RATE
from steno.data.rooms import Signal

_LOWEST_HZ = 20.0
"""Below it the power stays as it is there: of brown noise nearly all would be too low to be heard."""


def coloured_noise(count: int, slope: float, rng: np.random.Generator, sample_rate: int = SAMPLE_RATE) -> Signal:
    """Gaussian noise of root mean square 1 whose power falls as frequency to minus ``slope``; shape (count,)."""
    size = 1 << (count - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), _LOWEST_HZ)
    noise = np.fft.irfft(spectrum * hertz ** (-slope / 2), size)[:count]
    level: float = np.sqrt(np.mean(noise**2))
    return noise / level
