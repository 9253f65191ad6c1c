"""Recordings and spectrograms as data URIs, so that a report carries them."""

import base64
import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import soundfile

from steno.audio import Samples

_FFT, _HOP = 512, 160
_COLUMNS, _RANGE_DB = 900, 70.0
_ANCHORS = ((0, 0, 4), (41, 17, 90), (114, 31, 129), (183, 55, 121), (241, 96, 93), (254, 176, 120), (252, 253, 191))
"""Colours of the spectrogram from silence to the loudest, each darker than the next."""


def audio_uri(samples: Samples, sample_rate: int) -> str:
    """Samples (N,) as Ogg/Opus, about 15 kbit/s; ``sample_rate`` is one of Opus's (8, 12, 16, 24, 48 kHz)."""
    out = io.BytesIO()
    soundfile.write(out, samples, sample_rate, format="OGG", subtype="OPUS", compression_level=0.97)
    return _uri("audio/ogg", out.getvalue())


def spectrogram_uri(samples: Samples, sample_rate: int) -> str:
    """Samples (N,) as a PNG of their power spectrum, 70 dB from the loudest; low frequencies at the bottom."""
    hop = max(_HOP * sample_rate // 16_000, len(samples) // _COLUMNS)
    padded = np.pad(samples, (_FFT // 2, _FFT // 2 + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FFT), axis=1))[:, : _FFT // 2] ** 2
    levels = 10 * np.log10(power.reshape(len(power), -1, 2).mean(axis=2) + 1e-10)
    shades = np.clip(1 + (levels - levels.max()) / _RANGE_DB, 0, 1)
    return _uri("image/png", _png((255 * shades.T[::-1]).astype(np.uint8)))


def _png(shades: npt.NDArray[np.uint8]) -> bytes:
    """An image (rows, columns) of palette indices. Source: the PNG specification, third edition, W3C 2025."""
    rows, columns = shades.shape
    place = np.linspace(0, len(_ANCHORS) - 1, 256)
    palette = np.stack(
        [np.interp(place, range(len(_ANCHORS)), [anchor[c] for anchor in _ANCHORS]) for c in range(3)], axis=1
    ).astype(np.uint8)
    lines = np.concatenate((np.zeros((rows, 1), np.uint8), shades), axis=1).tobytes()
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
