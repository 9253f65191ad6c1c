"""Uploads judged before they are decoded: a small file may claim, or expand to, hours of audio.

What libsndfile reads is left as it is; what only FFmpeg reads becomes a WAV file in memory.
"""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from steno import audio
from steno.errors import AudioError

if TYPE_CHECKING:
    from av import AudioFrame

RATES = (4_000, 384_000)
"""Sampling rates (Hz) that are taken."""

_MOST_KEPT = 48_000
"""Rate (Hz) that FFmpeg's samples are brought down to, so that ten minutes of them take 115 MB at most."""

MOST_CHANNELS = 16

_MOST_SAMPLES = 192_000
"""Samples a second of all channels together; what a few bytes of silence expand to costs memory and time."""

_READABLE = "This server reads WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, AU, M4A, MP4, WebM, Matroska and AAC."

_UNKNOWN = 1 << 62
"""libsndfile counts so many frames where a header does not say how many there are."""


class TooLongError(AudioError):
    """A recording with more audio than the server takes."""


def admit(data: bytes, max_seconds: float) -> tuple[bytes, float]:
    """An upload that the runtime can read, and its seconds. Only its header has been read, unless FFmpeg was needed.

    WAV, FLAC, Ogg, MP3, AIFF and AU are libsndfile's, which reads no more frames than it counts; MP4, M4A, WebM,
    Matroska and ADTS are FFmpeg's, whose frames are counted as they come.

    Raises:
        TooLongError: more than ``max_seconds``.
        AudioError: not a recording that can be read.
        ModuleNotFoundError: FFmpeg is needed and is not installed.
    """
    container = _container(data)
    if container is None:
        try:
            info = soundfile.info(io.BytesIO(data))
        except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError):
            raise AudioError(_reason(data), _READABLE) from None
        if info.frames < _UNKNOWN or not data.startswith(b"fLaC"):
            _check(info.frames, info.samplerate, info.channels, max_seconds)
            return data, info.frames / info.samplerate
        container = "flac"
    return _by_ffmpeg(data, container, max_seconds)


def _reason(data: bytes) -> str:
    """Why libsndfile cannot read an upload."""
    try:
        audio.load(data)
    except AudioError as error:
        return error.message
    return f"{audio.describe(data)}: cannot be decoded"


def _container(data: bytes) -> str | None:
    """FFmpeg's name of the container, None for what libsndfile reads."""
    if data[4:8] == b"ftyp":
        return "mp4"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return "aac"
    return None


def _by_ffmpeg(data: bytes, container: str, max_seconds: float) -> tuple[bytes, float]:
    import av

    name = audio.describe(data)
    frames = rate = 0
    wav = io.BytesIO()
    try:
        with av.open(io.BytesIO(data), mode="r", format=container) as source:
            if not source.streams.audio:
                raise AudioError(f"{name}: there is no sound in it", "Send a file with an audio track.")
            mono: av.AudioResampler | None = None
            target: soundfile.SoundFile | None = None

            for decoded in source.decode(source.streams.audio[0]):
                if rate not in (0, decoded.sample_rate):
                    raise AudioError(f"{name}: its sampling rate changes on the way", "Convert it to WAV or FLAC.")
                rate = decoded.sample_rate
                frames += decoded.samples
                _check(frames, rate, decoded.layout.nb_channels, max_seconds)
                kept = min(rate, _MOST_KEPT)
                mono = mono or av.AudioResampler(format="flt", layout="mono", rate=kept)
                target = target or soundfile.SoundFile(wav, "w", kept, 1, format="WAV", subtype="FLOAT")
                _write(mono.resample(decoded), target)
            if mono is not None and target is not None:
                _write(mono.resample(None), target)  # what it still holds
    except (av.error.FFmpegError, ValueError, IndexError, EOFError) as error:
        raise AudioError(f"{name}: cannot be decoded ({error})", "Convert it to WAV or FLAC.") from error
    if target is None:
        raise AudioError(f"{name}: the recording holds no samples")
    target.close()
    return wav.getvalue(), frames / rate


def _write(blocks: "Iterable[AudioFrame]", target: soundfile.SoundFile) -> None:
    for block in blocks:
        target.write(np.nan_to_num(block.to_ndarray().reshape(-1)))


def _check(frames: int, rate: int, channels: int, max_seconds: float) -> None:
    if not RATES[0] <= rate <= RATES[1] or not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(
            f"the recording has {channels} channels at {rate} Hz",
            f"Up to {MOST_CHANNELS} channels and rates from {RATES[0]} to {RATES[1]} Hz are taken.",
        )
    if rate * channels > _MOST_SAMPLES:
        raise AudioError(
            f"the recording has {channels} channels at {rate} Hz, {rate * channels:,} samples a second",
            f"Up to {_MOST_SAMPLES:,} are taken: send fewer channels, or a lower rate.",
        )
    if frames > max_seconds * rate:
        raise TooLongError(f"the recording is longer than {max_seconds:g} s", "Cut it into parts.")
