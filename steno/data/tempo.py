"""Speech made faster or slower at its own pitch.

Source: Verhelst and Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high quality
time-scale modification of speech", ICASSP 1993.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from steno.audio import SAMPLE_RATE, Samples

_WINDOW = 0.03
"""Seconds of speech that are moved as a whole: two or three periods of a voice."""
_REACH = 0.008
"""Seconds by which a piece may lie off its place, so that it goes on as the one before it would have."""


def change_tempo(samples: Samples, factor: float, sample_rate: int = SAMPLE_RATE) -> Samples:
    """Speak (N,) samples ``factor`` times as fast, (round(N / factor),); the pitch stays.

    What is shorter than two windows of 30 ms stays as it is.
    """
    hop = round(_WINDOW / 2 * sample_rate)
    window, reach = 2 * hop, round(_REACH * sample_rate)
    if factor == 1 or len(samples) < 2 * window:
        return samples
    count = round(len(samples) / factor)
    signal = np.pad(samples, (reach, 2 * (reach + window)))
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    out = np.zeros(count + 2 * window, np.float32)
    out[:hop] = samples[:hop] * (1 - hann[:hop])  # the half window that begins before the first
    at = 0  # where in the samples the piece lies that was taken last
    for number in range(-(-count // hop)):
        if number:
            following = signal[at + hop + reach : at + hop + reach + window]
            place = min(round(number * hop * factor), len(samples) - 1)
            pieces = sliding_window_view(signal[place : place + 2 * reach + window], window)
            energy = np.einsum("ij,ij->i", pieces, pieces)
            at = place - reach + int(np.argmax(pieces @ following / np.sqrt(energy + 1e-8)))
        out[number * hop : number * hop + window] += hann * signal[at + reach : at + reach + window]
    return out[:count]
