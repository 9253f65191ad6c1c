"""Checks of one recording: it is decoded once, and only small numbers of it are kept."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from steno import audio
from steno.data.check.problems import Finding, Kind, Severity
from steno.data.check.settings import Settings
from steno.errors import AudioError
from steno.fragments import part_of
from steno.levels import bandwidth, decibels, frame_powers, framed, spread
from steno.storage import is_remote
from steno.storage.members import is_member, open_file

_FULL_SCALE = 0.998
_DECODED_AT_MOST = 600.0  # seconds; a longer one would take too much memory, and is too long in any case


@dataclass(frozen=True, slots=True)
class Levels:
    """Numbers of one decoded recording; levels in dBFS, without a constant offset."""

    duration: float
    level: float
    loudest: float
    """Level of the loudest 25 ms."""
    snr: float
    """Between the 95th and the 10th percentile of the levels of 25 ms: speech over background, in dB."""
    bandwidth: float
    """The highest frequency that is there, in Hz."""
    offset: float
    clipped: float
    """Share of the samples."""
    digest: int
    """64 bits of the samples' hash."""


def measure(samples: audio.Samples, sample_rate: int) -> Levels:
    """Levels of (N,) samples at their own rate; resampling would hide clipping."""
    means, powers = frame_powers(framed(samples, sample_rate))
    frame_levels = decibels(powers - means**2)
    offset = float(means.mean())
    return Levels(
        duration=len(samples) / sample_rate,
        level=float(decibels(powers.mean() - offset**2)),
        loudest=float(frame_levels.max()),
        snr=spread(frame_levels),
        bandwidth=bandwidth(samples, sample_rate),
        offset=offset,
        clipped=clipped_share(samples),
        digest=digest(np.ascontiguousarray(samples).data, sample_rate.to_bytes(4, "little")),
    )


def clipped_share(samples: audio.Samples) -> float:
    """Share of the (N,) samples that were cut off.

    Three or more in a row at full scale count, as do four or more that equal the recording's extreme: the flat
    tops of a signal that was turned down after it was clipped.
    """
    high, low = samples.max(), samples.min()
    clipped = 0
    if max(high, -low) >= _FULL_SCALE:
        clipped = _in_runs(np.abs(samples) >= _FULL_SCALE, 3)
    flat = sum(_in_runs(samples == extreme, 4) for extreme in {high, low} if abs(extreme) >= 0.05)
    return max(clipped, flat) / len(samples)


def digest(*parts: bytes | memoryview) -> int:
    """64 bits of a hash, never 0; any two of a million are the same with a probability of 3e-8."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        hashed.update(part)
    return int.from_bytes(hashed.digest()) or 1


def check_audio(path: Path, settings: Settings) -> tuple[Levels | None, list[Finding]]:
    """Decode a recording and check it; without levels if it cannot be used at all."""
    try:
        recording = part_of(path).recording
        if not (is_remote(path) or is_member(recording) or recording.exists()):
            return None, [Finding(Kind.MISSING_AUDIO, f"{recording}: no such file")]
        stated = audio.duration(path)
        if stated > max(settings.max_seconds, _DECODED_AT_MOST):
            return None, [_too_long(stated, settings)]
        with open_file(recording) as file:
            rate = int(soundfile.info(file).samplerate)
        levels = measure(audio.load(path, rate), rate)
        cut = recording == path and lacks_end(path)  # a part of one that was cut is whole, if it can be decoded
    except AudioError as error:
        return None, [Finding(Kind.UNREADABLE_AUDIO, error.message)]
    except OSError as error:
        return None, [Finding(Kind.UNREADABLE_AUDIO, f"{path}: {error.strerror or error}")]
    if stated - levels.duration > settings.duration_tolerance(stated):
        message = f"{path}: only {levels.duration:.2f} of {stated:.2f} s can be decoded"
        return None, [Finding(Kind.TRUNCATED_AUDIO, message)]
    if cut:
        return None, [Finding(Kind.TRUNCATED_AUDIO, f"{path}: breaks off at {levels.duration:.2f} s")]
    return levels, list(_check_levels(levels, settings))


def lacks_end(path: Path) -> bool:
    """Whether the file was cut, as its container tells: an Ogg stream without its last page, a short RIFF file.

    Source: RFC 3533, section 6 (page header); Microsoft's RIFF specification.
    """
    with open_file(path) as file:
        head = file.read(12)
        length = file.seek(0, 2)
        if head[:4] == b"OggS":
            file.seek(max(0, length - 65_307))  # the greatest size of a page
            return _ends_in_mid_stream(file.read())
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        # Programs that write to a pipe leave the size at its greatest value; some forget the last byte's padding.
        return size < 0x7FFFF000 and size + 8 > length + 1
    return False


def _ends_in_mid_stream(tail: bytes) -> bool:
    page = tail[max(0, tail.rfind(b"OggS\0")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    segments = page[27 : 27 + page[26]]
    is_last = bool(page[5] & 4)
    return not is_last or len(page) < 27 + len(segments) + sum(segments)


def _check_levels(levels: Levels, settings: Settings) -> Iterator[Finding]:
    if levels.duration < settings.min_seconds:
        yield Finding(Kind.TOO_SHORT, f"{levels.duration:.3f} s, the least allowed is {settings.min_seconds:g}")
    if levels.duration > settings.max_seconds:
        yield _too_long(levels.duration, settings)
    if levels.loudest < settings.silence_db:
        if 20 * np.log10(abs(levels.offset) + 1e-9) >= settings.silence_db:
            yield Finding(Kind.CONSTANT_AUDIO, f"a constant {levels.offset:+.3f} of full scale and no sound")
        else:
            yield Finding(Kind.SILENT_AUDIO, f"its loudest 25 ms are at {levels.loudest:.0f} dBFS")
    elif levels.clipped >= settings.clipped_warning:
        severity = Severity.ERROR if levels.clipped >= settings.clipped_error else Severity.WARNING
        yield Finding(Kind.CLIPPED_AUDIO, f"{levels.clipped:.2%} of its samples are cut off", severity)


def _too_long(duration: float, settings: Settings) -> Finding:
    return Finding(Kind.TOO_LONG, f"{duration:.1f} s, the most allowed is {settings.max_seconds:g}")


def _in_runs(mask: npt.NDArray[np.bool_], least: int) -> int:
    """How many are true in runs of at least so many."""
    if np.count_nonzero(mask) < least:
        return 0
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= least].sum())
