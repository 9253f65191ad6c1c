"""Constant matrices of the front-end: window, DFT kernels, mel bank, DCT. Computed in float64."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

MelScale = Literal["htk", "slaney"]


def hann(window: int, n_fft: int) -> Matrix:
    """Periodic Hann window of ``window`` samples, centred in (n_fft,)."""
    padded = np.zeros(n_fft)
    left = (n_fft - window) // 2
    padded[left : left + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    return padded


def dft_kernels(n_fft: int, window: int) -> Matrix:
    """Windowed cosines, then windowed sines, of the frequencies 0 … n_fft / 2: (2 (n_fft // 2 + 1), n_fft)."""
    angle = 2 * np.pi * np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) / n_fft
    return np.concatenate([np.cos(angle), -np.sin(angle)]) * hann(window, n_fft)


def mel_bank(
    n_fft: int, sample_rate: int, n_mels: int, f_min: float, f_max: float, scale: MelScale, slaney_norm: bool
) -> Matrix:
    """Triangular filters (n_fft // 2 + 1, n_mels), spaced evenly in mel between two frequencies in Hz.

    With ``slaney_norm`` each triangle has unit area. Sources: Young et al., The HTK Book; Slaney, Auditory
    Toolbox, 1998.
    """
    frequencies = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    edges = _to_hz(np.linspace(_to_mel(f_min, scale), _to_mel(f_max, scale), n_mels + 2), scale)
    slopes = edges[None, :] - frequencies[:, None]
    widths = np.diff(edges)
    rising = -slopes[:, :-2] / widths[:-1]
    falling = slopes[:, 2:] / widths[1:]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    if slaney_norm:
        bank *= 2.0 / (edges[2:] - edges[:-2])
    return bank


def mel_centres(n_mels: int, f_min: float, f_max: float, scale: MelScale) -> Matrix:
    """Frequencies in Hz (n_mels,) that the filters of :func:`mel_bank` hear best."""
    return _to_hz(np.linspace(_to_mel(f_min, scale), _to_mel(f_max, scale), n_mels + 2), scale)[1:-1]


def dct(n_mfcc: int, n_mels: int) -> Matrix:
    """Orthonormal DCT-II (n_mels, n_mfcc)."""
    basis = np.cos(np.pi / n_mels * np.outer(np.arange(n_mels) + 0.5, np.arange(n_mfcc)))
    basis[:, 0] /= np.sqrt(2)
    return basis * np.sqrt(2 / n_mels)


_LINEAR_HZ, _LINEAR_MELS, _LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27.0


def _to_mel(hz: float, scale: MelScale) -> float:
    if scale == "htk":
        return 2595.0 * float(np.log10(1 + hz / 700.0))
    if hz < _LINEAR_HZ:
        return hz * _LINEAR_MELS / _LINEAR_HZ
    return _LINEAR_MELS + float(np.log(hz / _LINEAR_HZ)) / _LOG_STEP


def _to_hz(mels: Matrix, scale: MelScale) -> Matrix:
    if scale == "htk":
        return 700.0 * (10 ** (mels / 2595.0) - 1)
    linear = mels * _LINEAR_HZ / _LINEAR_MELS
    return np.where(mels < _LINEAR_MELS, linear, _LINEAR_HZ * np.exp(_LOG_STEP * (mels - _LINEAR_MELS)))
