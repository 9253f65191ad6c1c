"""The sound of a room: synthetic impulse responses, for the embedded corpus and for augmentation."""

import numpy as np
import numpy.typing as npt

from steno.audio import SAMPLE_RATE

Signal = npt.NDArray[np.float64]

_DECAY = 3 * np.log(10)


def room(rt60: float, direct: float, rng: np.random.Generator, sample_rate: int = SAMPLE_RATE) -> Signal:
    """A synthetic impulse response: the direct sound, then noise that decays exponentially.

    Source: J. A. Moorer, "About this reverberation business", Computer Music Journal 3(2), 1979.

    Args:
        rt60: seconds until the echo has fallen by 60 dB.
        direct: dB by which the energy of the direct sound exceeds that of the echo.

    Returns:
        Samples of shape (rt60 · sample_rate,), the first is 1.
    """
    seconds = np.arange(round(rt60 * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(seconds)) * np.exp(-_DECAY * seconds / rt60)
    first_wall = round(rng.uniform(0.002, 0.008) * sample_rate)
    tail[:first_wall] = 0.0
    tail *= 10 ** (-direct / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def reverberate(signal: Signal, response: Signal) -> Signal:
    """The signal (N,) in a room, cut at its own length (N,)."""
    size = 1 << (len(signal) + len(response) - 1).bit_length()
    spectrum = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(signal)]
