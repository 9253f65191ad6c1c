"""Changes to the training audio: speed, gain and noise. All of them in numpy, before batching."""

import numpy as np
import numpy.typing as npt

from steno.audio import Samples, resample

Spectrum = npt.NDArray[np.float64]


def change_speed(samples: Samples, factor: float) -> Samples:
    """Play (N,) samples ``factor`` times as fast; pitch rises with it. Source: Ko et al., Interspeech 2015."""
    return resample(samples, factor, 1.0)


def change_gain(samples: Samples, decibels: float) -> Samples:
    """Make (N,) samples louder by so many dB."""
    return samples * np.float32(10 ** (decibels / 20))


def add_noise(samples: Samples, snr_db: float, slope: float, generator: np.random.Generator) -> Samples:
    """Add noise to (N,) samples at a signal-to-noise ratio in dB.

    ``slope`` is the exponent of the noise's falling power spectrum: 0 is white, 1 pink, 2 brown. A silent
    recording stays as it is.
    """
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    if power == 0 or len(samples) < 2:
        return samples
    noise = coloured_noise(len(samples), slope, generator)
    noise *= np.sqrt(power / 10 ** (snr_db / 10) / max(float(np.mean(np.square(noise))), 1e-20))
    return samples + noise.astype(np.float32)


def coloured_noise(length: int, slope: float, generator: np.random.Generator) -> Spectrum:
    """Gaussian noise (N,) whose power falls with frequency to the power of ``slope``."""
    spectrum = np.fft.rfft(generator.standard_normal(length))
    frequency = np.arange(len(spectrum), dtype=np.float64)
    frequency[0] = 1.0
    shaped: Spectrum = np.fft.irfft(spectrum * frequency ** (-slope / 2), n=length)
    return shaped
