"""Recordings in, 16 kHz mono float32 samples out.

Decoding is libsndfile's (WAV, FLAC, OGG/Vorbis, OGG/Opus, MP3), resampling is soxr's.
"""

import io
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from stat import S_ISDIR
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from steno.errors import AudioError, StorageError
from steno.storage import local, shown
from steno.storage.members import is_member, read_member

SAMPLE_RATE = 16_000
"""Samples per second (Hz) of everything that the recogniser sees."""

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64"})
"""Lower-case endings that are taken for recordings when a folder is searched."""

Samples = npt.NDArray[np.float32]
Source = str | PathLike[str] | bytes | BinaryIO

_FAILURES = (
    *(soundfile.LibsndfileError, RuntimeError, OSError, TypeError, ValueError, MemoryError),
    StorageError,
)
_REMOVE = "Remove it from the data."
_REMEDY = "Steno reads WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF and AU; convert the file to one of them."


def load(source: Source, sample_rate: int = SAMPLE_RATE) -> Samples:
    """Decode a recording, mix its channels and resample it.

    Args:
        source: a path, a place in a store or in a shard, the bytes of a file, or an open binary file.
        sample_rate: wanted rate in Hz.

    Returns:
        Samples of shape (N,), full scale ±1.

    Raises:
        AudioError: the file is missing, empty, damaged, of an unknown format, or holds NaN or infinity.
    """
    name = describe(source)
    try:
        samples, rate = soundfile.read(_openable(source), dtype="float32", always_2d=True)
    except _FAILURES as error:
        raise _unreadable(source, name, error) from error
    if not len(samples):
        raise AudioError(f"{name}: the recording holds no samples", _REMOVE)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise AudioError(f"{name}: the recording holds samples that are not numbers", "Export it again.")
    resampled = resample(mono, rate, sample_rate)
    if not len(resampled):
        raise AudioError(f"{name}: the recording is shorter than one sample at {sample_rate} Hz", _REMOVE)
    return resampled


def blocks(source: Source, sample_rate: int = SAMPLE_RATE, seconds: float = 30.0) -> Iterator[Samples]:
    """Decode a recording of any length bit by bit: blocks of about so many seconds, mixed and resampled.

    Raises:
        AudioError: as :func:`load`, when the place in question is reached.
    """
    name = describe(source)
    given = 0
    try:
        with soundfile.SoundFile(_openable(source)) as file:
            stream = None
            if file.samplerate != sample_rate:
                stream = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
            size = max(1, int(seconds * file.samplerate))
            while True:
                frames = file.read(size, dtype="float32", always_2d=True)
                last = len(frames) < size
                mono = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
                if not np.isfinite(mono).all():
                    raise AudioError(f"{name}: the recording holds samples that are not numbers", "Export it again.")
                block = np.ascontiguousarray(mono) if stream is None else stream.resample_chunk(mono, last=last)
                given += len(block)
                if len(block):
                    yield block
                if last:
                    break
    except _FAILURES as error:
        raise _unreadable(source, name, error) from error
    if not given:
        raise AudioError(f"{name}: the recording holds no samples", _REMOVE)


def resample(samples: Samples, from_rate: float, to_rate: float) -> Samples:
    """Resample (N,) float32 samples between two rates in Hz; the same array if they are equal."""
    if from_rate == to_rate:
        return np.ascontiguousarray(samples)
    resampled: Samples = soxr.resample(samples, from_rate, to_rate)
    return resampled


def duration(path: str | PathLike[str]) -> float:
    """Seconds of a recording, from its header alone.

    Raises:
        AudioError: as :func:`load`.
    """
    try:
        info = soundfile.info(_openable(path))
    except _FAILURES as error:
        raise _unreadable(path, describe(path), error) from error
    if info.frames <= 0 or info.samplerate <= 0:
        raise AudioError(f"{describe(path)}: the recording holds no samples", _REMOVE)
    return float(info.frames) / float(info.samplerate)


def is_audio(path: Path) -> bool:
    """Whether the name ends like a recording's."""
    return path.suffix.lower() in SUFFIXES


def describe(source: Source) -> str:
    """A short name of the source for messages."""
    if isinstance(source, (str, PathLike)):
        return shown(source)
    if isinstance(source, (bytes, bytearray)):
        return f"<{len(source)} bytes of audio>"
    return str(getattr(source, "name", "<audio stream>"))


def _openable(source: Source) -> str | BinaryIO:
    if isinstance(source, (str, PathLike)):
        return io.BytesIO(read_member(source)) if is_member(source) else fspath(local(source))
    if isinstance(source, (bytes, bytearray)):
        return io.BytesIO(source)
    return source


def _unreadable(source: Source, name: str, error: Exception) -> AudioError:
    if isinstance(error, StorageError):
        return AudioError(error.message, error.hint)
    if isinstance(source, (str, PathLike)) and not is_member(source):
        try:
            status = local(source).stat()
        except (FileNotFoundError, ValueError):
            return AudioError(f"{name}: no such file", "Check the path; those in a manifest start at its folder.")
        except OSError as problem:
            return AudioError(f"{name}: {problem.strerror or problem}", "Check the path and its permissions.")
        if S_ISDIR(status.st_mode):
            return AudioError(f"{name}: is a folder, not a recording")
        if status.st_size == 0:
            return AudioError(f"{name}: the file is empty", "Remove it or fetch it again.")
    reason = str(error).rsplit(": ", 1)[-1].strip().rstrip(".") or type(error).__name__
    return AudioError(f"{name}: cannot be decoded ({reason})", _REMEDY)
