"""A recording as it goes into a shard: its file's own bytes, or written anew as FLAC or Opus."""

import io
import re
from dataclasses import dataclass
from typing import Literal

import soundfile

from steno import audio
from steno.data.manifest import Utterance
from steno.errors import AudioError, StorageError
from steno.fragments import part_of
from steno.storage.members import open_file

Encoding = Literal["as-is", "flac", "opus"]

_SUBTYPES = {"flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS")}
_USUAL_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
_MOST_BYTES = 2**32 - 1  # as the index can say
_OPUS_COMPRESSION = 0.9  # about 32 kbit/s


@dataclass(frozen=True, slots=True)
class Packed:
    """An utterance, its recording's bytes and the ending of their file name; or the reason why there are none."""

    utterance: Utterance
    suffix: str = ""
    data: bytes = b""
    problem: str = ""


def pack(utterance: Utterance, encoding: Encoding) -> Packed:
    """Read a recording, and write it anew if that is asked: 16 kHz, one channel.

    A part of a recording is always written anew: as FLAC of the recording's own rate, if nothing else is asked.
    """
    recording = part_of(utterance.audio).recording
    try:
        if encoding == "as-is" and recording != utterance.audio:
            with open_file(recording) as file:
                rate = int(soundfile.info(file).samplerate)
            return Packed(utterance, ".flac", _encoded(audio.load(utterance.audio, rate), "flac", rate))
        if encoding == "as-is":
            with open_file(utterance.audio) as file:
                data = file.read()
            if not data:
                return Packed(utterance, problem=f"{audio.describe(utterance.audio)}: the file is empty")
            if len(data) > _MOST_BYTES:
                return Packed(utterance, problem=f"{audio.describe(utterance.audio)}: has more than 4 GB")
            suffix = utterance.audio.suffix.lower()
            return Packed(utterance, suffix if _USUAL_SUFFIX.fullmatch(suffix) else ".audio", data)
        return Packed(utterance, f".{encoding}", _encoded(audio.load(utterance.audio), encoding))
    except (AudioError, StorageError) as error:
        return Packed(utterance, problem=error.message)
    except OSError as error:
        return Packed(utterance, problem=f"{audio.describe(utterance.audio)}: {error.strerror or error}")


def crashed(utterance: Utterance) -> Packed:
    """What becomes of a recording that ended the process that decoded it."""
    return Packed(utterance, problem=f"{audio.describe(utterance.audio)}: ended the process that decoded it")


def _encoded(samples: audio.Samples, encoding: Encoding, rate: int = audio.SAMPLE_RATE) -> bytes:
    out = io.BytesIO()
    container, subtype = _SUBTYPES[encoding]
    level = {"compression_level": _OPUS_COMPRESSION} if encoding == "opus" else {}
    soundfile.write(out, samples, rate, format=container, subtype=subtype, **level)
    return out.getvalue()
