"""The worker for live streams: one batched step after the other over all streams that have audio enough."""

import logging
import math
from collections.abc import Iterator
from time import perf_counter
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from steno.errors import StenoError
from steno.runtime import Recognizer
from steno.runtime.streaming import EndpointConfig, Event, Partial, StreamingSession, advance
from steno.serving.wire import Channel
from steno.serving.words import told, transcript_json

_log = logging.getLogger("steno.serving.worker")

PATIENCE_SECONDS = 5.0
"""Audio that may wait in a stream before its client is no longer told that there is room."""

_PACKETS = {
    "opus": ("opus", 48_000, "an Opus packet"),
    "pcmu": ("pcm_mulaw", 8_000, "G.711 in mu-law"),
    "pcma": ("pcm_alaw", 8_000, "G.711 in A-law"),
}


class Decoder(Protocol):
    """Turns a client's frames into samples."""

    rate: int

    def decode(self, frame: bytes) -> npt.NDArray[Any]:
        """Samples (N,) of one frame, N may be 0.

        Raises:
            StenoError: it cannot be decoded.
        """


class Pcm16:
    """16-bit little-endian samples."""

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def decode(self, frame: bytes) -> npt.NDArray[Any]:
        """Samples (N,), int16."""
        return np.frombuffer(frame, dtype="<i2")


class Packets:
    """Packets of a codec of FFmpeg, one a frame.

    Args:
        codec: FFmpeg's name of it.
        rate: its samples a second (Hz).
        name: what errors call it.
    """

    def __init__(self, codec: str, rate: int, name: str) -> None:
        import av

        self.rate, self._name = rate, name
        self._errors = (av.error.FFmpegError, ValueError)
        self._packet = av.Packet
        self._codec = cast("Any", av.CodecContext.create(codec, "r"))
        self._codec.sample_rate = rate
        self._codec.layout = "mono"
        self._mono = av.AudioResampler(format="flt", layout="mono", rate=rate)

    def decode(self, frame: bytes) -> npt.NDArray[Any]:
        """Samples (N,), float32."""
        try:
            decoded = self._codec.decode(self._packet(frame))
            blocks = [block.to_ndarray().reshape(-1) for part in decoded for block in self._mono.resample(part)]
        except self._errors as error:
            raise StenoError(f"not {self._name} ({error})") from None
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


class TooLong(StenoError):
    """A stream without endpoints that goes on and on: what it holds grows with it."""


class Live:
    """One stream: its session and what its client is still to be told."""

    def __init__(self, session: StreamingSession, decoder: Decoder, most_seconds: float = math.inf) -> None:
        self.session = session
        self.decoder = decoder
        self.held = 0
        """Bytes that came and were not yet told to be taken."""
        self._left = most_seconds

    def hear(self, frame: bytes) -> float:
        """Buffer a frame; returns its seconds.

        Raises:
            StenoError: it cannot be decoded.
            TooLong: an utterance that is not to end has become too long.
        """
        self.held += len(frame)
        samples = self.decoder.decode(frame)
        self._left -= len(samples) / self.decoder.rate
        if self._left < 0:
            raise TooLong("without endpointing the stream is one utterance, and it has become too long")
        if len(samples):
            self.session.buffer(samples, self.decoder.rate)
        return len(samples) / self.decoder.rate


def serve_streams(channel: Channel, recognizer: Recognizer, max_seconds: float) -> None:
    """Take steps until the server hangs up. A stream without endpointing may have ``max_seconds`` of audio."""
    lives: dict[int, Live] = {}
    while not channel.closed:
        due = any(live.session.due for live in lives.values())
        said: list[tuple[int, dict[str, Any]]] = []
        heard = 0.0
        for head, frame in channel.receive(0.0 if due else None):
            try:
                heard += _obey(lives, recognizer, head, frame, max_seconds)
            except StenoError as error:
                code = "audio_too_long" if isinstance(error, TooLong) else "invalid_audio"
                said.append(_ended(lives, head["id"], code, told(error)))
            except Exception:  # it costs this stream, and no other
                _log.exception("a stream failed")
                said.append(
                    _ended(lives, head["id"], "internal_error", "The stream failed; the server's log says why.")
                )
        started = perf_counter()
        stepped = [number for number, live in lives.items() if live.session.due]
        steps = advance([lives[number].session for number in stepped]) if stepped else []
        for number, events in zip(stepped, steps, strict=True):
            said += ((number, event) for happened in events for event in tell(happened))
        for number in [number for number, live in lives.items() if live.session.finished]:
            del lives[number]
            said.append((number, {"type": "done"}))
        taken = list(_taken(lives))
        if said or taken or stepped:
            work = perf_counter() - started
            channel.send(
                {"said": said, "taken": taken, "streams": len(stepped), "audio_seconds": heard, "work_seconds": work}
            )


def _ended(lives: dict[int, Live], number: int, code: str, message: str) -> tuple[int, dict[str, Any]]:
    """Forget a stream that cannot go on; returns what its client is told."""
    lives.pop(number, None)
    return number, {"problem": {"code": code, "message": message}}


def _obey(
    lives: dict[int, Live], recognizer: Recognizer, head: dict[str, Any], frame: bytes, max_seconds: float
) -> float:
    """Do what one message says; returns the seconds of audio in it."""
    number = head["id"]
    if head["do"] == "open":
        packets = _PACKETS.get(head["encoding"])
        decoder = Packets(*packets) if packets else Pcm16(head["sample_rate"])
        if head["endpointing"]:
            rules = EndpointConfig() if head["pause"] is None else EndpointConfig.pausing(head["pause"])
            lives[number] = Live(recognizer.stream(endpointing=rules), decoder)
        else:
            lives[number] = Live(recognizer.stream(endpointing=None), decoder, max_seconds)
    elif live := lives.get(number):
        if head["do"] == "audio":
            return live.hear(frame)
        if head["do"] == "finish":
            live.session.end()
        else:
            del lives[number]
    return 0.0


def _taken(lives: dict[int, Live]) -> Iterator[tuple[int, int]]:
    for number, live in lives.items():
        if live.held and live.session.waiting_seconds < PATIENCE_SECONDS:
            yield number, live.held
            live.held = 0


def tell(happened: Event) -> Iterator[dict[str, Any]]:
    """What a client is sent for an event of a session."""
    if isinstance(happened, Partial):
        spoken = happened.words[0].start if happened.words else happened.start
        times = {"start": round(happened.start, 3), "spoken": round(spoken, 3)}
        yield {"type": "partial", "text": happened.text, **times}
        return
    times = {"start": round(happened.start, 3), "end": round(happened.end, 3)}
    yield {"type": "final", **transcript_json(happened.transcript), **times}
    if happened.reason != "end":
        yield {"type": "endpoint", "reason": happened.reason, "time": times["end"]}
