"""Recordings in, 16 kHz mono float32 samples out.

Decoding is libsndfile's (WAV, FLAC, OGG/Vorbis, OGG/Opus, MP3, NIST SPHERE), resampling is soxr's.
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
from steno.fragments import Part, part_of
from steno.storage import local, shown
from steno.storage.members import is_member, read_member

SAMPLE_RATE = 16_000
"""Samples per second (Hz) of everything that the recogniser sees."""

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".sph"})
"""Lower-case endings that are taken for recordings when a folder is searched."""

Samples = npt.NDArray[np.float32]
Source = str | PathLike[str] | bytes | BinaryIO

MOST_OVERSHOOT = 0.5
"""Seconds by which a part may reach beyond its recording: times are rounded. Source: Kaldi's extract-segments."""

_FAILURES = (
    *(soundfile.LibsndfileError, RuntimeError, OSError, TypeError, ValueError, MemoryError),
    StorageError,
)
_REMOVE = "Remove it from the data."
_REMEDY = "Steno reads WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF, AU and NIST SPHERE; convert the file to one of them."


def load(source: Source, sample_rate: int = SAMPLE_RATE) -> Samples:
    """Decode a recording, mix its channels and resample it.

    Args:
        source: a path, also of a part of a recording (:mod:`steno.fragments`), a place in a store or in a shard,
            the bytes of a file, or an open binary file.
        sample_rate: wanted rate in Hz.

    Returns:
        Samples of shape (N,), full scale ±1.

    Raises:
        AudioError: the file is missing, empty, damaged, of an unknown format, or holds NaN or infinity; or it
            ends before the part does.
    """
    part, name = _part(source), describe(source)
    try:
        with soundfile.SoundFile(_openable(source)) as file:
            rate = file.samplerate
            wanted = _go_to(file, part, name)
            mono = _mono(file.read(-1 if wanted is None else wanted, dtype="float32", always_2d=True), part, name)
    except _FAILURES as error:
        raise _unreadable(source, name, error) from error
    _check_reached(len(mono), wanted, rate, part, name)
    if not len(mono):
        raise AudioError(f"{name}: the recording holds no samples", _REMOVE)
    resampled = resample(mono, rate, sample_rate)
    if not len(resampled):
        raise AudioError(f"{name}: the recording is shorter than one sample at {sample_rate} Hz", _REMOVE)
    return resampled


def blocks(source: Source, sample_rate: int = SAMPLE_RATE, seconds: float = 30.0) -> Iterator[Samples]:
    """Decode a recording of any length bit by bit: blocks of about so many seconds, mixed and resampled.

    Raises:
        AudioError: as :func:`load`, when the place in question is reached.
    """
    part, name = _part(source), describe(source)
    given = 0
    try:
        with soundfile.SoundFile(_openable(source)) as file:
            stream = None
            if file.samplerate != sample_rate:
                stream = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
            size = max(1, int(seconds * file.samplerate))
            wanted = _go_to(file, part, name)
            done = 0
            while True:
                count = size if wanted is None else min(size, wanted - done)
                mono = _mono(file.read(count, dtype="float32", always_2d=True), part, name)
                done += len(mono)
                last = len(mono) < count or done == wanted
                block = np.ascontiguousarray(mono) if stream is None else stream.resample_chunk(mono, last=last)
                given += len(block)
                if len(block):
                    yield block
                if last:
                    break
            _check_reached(done, wanted, file.samplerate, part, name)
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
    """Seconds of a recording, or of a part of it, from its header alone.

    Raises:
        AudioError: as :func:`load`.
    """
    part, name = part_of(path), describe(path)
    try:
        info = soundfile.info(_openable(path))
    except _FAILURES as error:
        raise _unreadable(path, name, error) from error
    if info.frames <= 0 or info.samplerate <= 0:
        raise AudioError(f"{name}: the recording holds no samples", _REMOVE)
    total = float(info.frames) / float(info.samplerate)
    _check_channel(part, info.channels, name)
    if part.start >= total or (part.end is not None and part.end > total + MOST_OVERSHOOT):
        raise _beyond(name, total)
    return (total if part.end is None else min(part.end, total)) - part.start


def channels(path: str | PathLike[str]) -> int:
    """How many channels a recording has; a part that is one channel has one.

    Raises:
        AudioError: as :func:`load`.
    """
    if part_of(path).channel is not None:
        return 1
    try:
        return int(soundfile.info(_openable(path)).channels)
    except _FAILURES as error:
        raise _unreadable(path, describe(path), error) from error


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


def _part(source: Source) -> Part:
    """The part that a source means; bytes and open files are whole."""
    return part_of(source) if isinstance(source, (str, PathLike)) else Part(Path())


def _go_to(file: soundfile.SoundFile, part: Part, name: str) -> int | None:
    """Go to where a part begins, and tell how many frames it has; None where it goes on to the end."""
    _check_channel(part, file.channels, name)
    first = round(part.start * file.samplerate)
    if first:
        if first >= file.frames:
            raise _beyond(name, file.frames / file.samplerate)
        file.seek(first)
    return None if part.end is None else max(0, round(part.end * file.samplerate) - first)


def _check_channel(part: Part, channels: int, name: str) -> None:
    if part.channel is not None and part.channel >= channels:
        there = f"channels 0 to {channels - 1}" if channels > 1 else "one channel, which is 0"
        raise AudioError(f"{name}: the recording has {there}", "Name one of these.")


def _check_reached(frames: int, wanted: int | None, rate: int, part: Part, name: str) -> None:
    if wanted is not None and frames < wanted - MOST_OVERSHOOT * rate:
        raise _beyond(name, part.start + frames / rate)


def _beyond(name: str, seconds: float) -> AudioError:
    return AudioError(
        f"{name}: the recording ends at {seconds:.2f} s", "Its parts have to lie within: check their times."
    )


def _mono(samples_nc: Samples, part: Part, name: str) -> Samples:
    """The part's channel, or all of them mixed: (N,) of (N, channels)."""
    if part.channel is not None or samples_nc.shape[1] == 1:
        mono = samples_nc[:, part.channel or 0]
    else:
        mono = samples_nc.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise AudioError(f"{name}: the recording holds samples that are not numbers", "Export it again.")
    return mono


def _openable(source: Source) -> str | BinaryIO:
    if isinstance(source, (str, PathLike)):
        source = part_of(source).recording
        return io.BytesIO(read_member(source)) if is_member(source) else fspath(local(source))
    if isinstance(source, (bytes, bytearray)):
        return io.BytesIO(source)
    return source


def _unreadable(source: Source, name: str, error: Exception) -> AudioError:
    if isinstance(error, StorageError):
        return AudioError(error.message, error.hint)
    if isinstance(source, (str, PathLike)) and not is_member(part_of(source).recording):
        try:
            status = local(part_of(source).recording).stat()
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
