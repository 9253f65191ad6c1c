"""``WS /v1/stream``: audio in, what is heard out."""

import contextlib
from time import monotonic
from typing import Any, NoReturn

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from steno.serving import sockets
from steno.serving.live_protocol import StreamConfig, read_command, read_config
from steno.serving.problems import ApiError
from steno.serving.service import Service
from steno.serving.sockets import Left
from steno.serving.streampool import Stream

router = APIRouter()

PROTOCOL, KEY_PREFIX = "steno.v1", "steno-key."
"""Subprotocols: the one that is spoken, and one that only carries a key, for browsers."""

CONFIG_SECONDS = 10.0
"""Time for the first message."""


@router.websocket("/v1/stream")
async def stream(websocket: WebSocket) -> None:
    """One connection, from its handshake to its end."""
    service: Service = websocket.app.state.service
    key = sockets.key_of(websocket, KEY_PREFIX)
    known = not service.keys or key is not None
    if known:
        service.check_key(key)  # refused with a status, before the handshake
    with contextlib.ExitStack() as held:
        held.enter_context(service.stream() if known else service.stranger())
        await websocket.accept(PROTOCOL if PROTOCOL in websocket.scope["subprotocols"] else None)
        try:
            config = await _config(websocket)
            if not known:
                service.check_key(config.key)
                held.close()
                held.enter_context(service.stream())
            await service.engine.streams.loaded.wait()  # a server that has just started takes files a moment earlier
            await _Conversation(websocket, service, config).run()
        except ApiError as error:
            said = {"type": "error", **error.body}
            if error.retry_after is not None:
                said["retry_after"] = error.retry_after
            await sockets.refuse(websocket, error, said)
        except (Left, WebSocketDisconnect):
            sockets.abort(websocket)


class _Conversation:
    """Two tasks over one stream: what the client sends, and what it is sent."""

    def __init__(self, websocket: WebSocket, service: Service, config: StreamConfig) -> None:
        self._websocket = websocket
        self._service = service
        self._config = config
        self._notes: dict[str, Any] = websocket.state.notes
        self._bytes = 0
        self._finished: float | None = None
        engine = service.engine
        settings = config.model_dump(include={"encoding", "sample_rate", "endpointing", "pause"})
        self._stream: Stream = engine.streams.open(settings, config.bytes_a_second)
        self._notes |= {"encoding": config.encoding, "version": engine.version}

    async def run(self) -> None:
        """Until the last final is out, the client leaves, or something is wrong."""
        ready = {"type": "ready", "id": self._notes["id"], "version": self._notes["version"]}
        try:
            await sockets.send(self._websocket, ready)
            await sockets.first_of(self._hear(), self._tell(), sockets.stop_in_time(self._service, self._finish))
        finally:
            self._stream.close()
            if self._config.encoding == "pcm16":
                self._notes["audio_seconds"] = round(self._bytes / self._config.bytes_a_second, 2)

    async def _hear(self) -> NoReturn:
        while True:
            seconds = self._service.config.idle_seconds if self._finished is None else None
            message = await sockets.receive(self._websocket, seconds)
            if (audio := message.get("bytes")) is not None:
                await self._feed(audio)
            else:
                read_command(message["text"])
                self._finish()

    async def _feed(self, audio: bytes) -> None:
        if self._finished is not None:
            if self._service.stopping.is_set():  # it is the server that has ended the stream
                return
            raise ApiError(400, "Audio after the finish message.", "invalid_message")
        if self._config.encoding == "pcm16" and len(audio) % 2:
            raise ApiError(400, "A frame of 16-bit samples has an even number of bytes.", "invalid_audio")
        if audio:
            self._bytes += len(audio)
            await self._stream.feed(audio)

    def _finish(self) -> None:
        if self._finished is None:
            self._finished = monotonic()
            self._stream.finish()

    async def _tell(self) -> None:
        while True:
            said = await self._stream.events.get()
            if isinstance(said, ApiError):
                raise said
            if said["type"] == "partial" and not self._config.partials:
                continue
            if self._service.config.log_transcripts and said["type"] == "final":
                self._notes.setdefault("finals", []).append(said["text"])
            await sockets.send(self._websocket, said)
            if said["type"] == "done":
                if self._finished is not None:
                    self._service.metrics.final_seconds.observe(monotonic() - self._finished)
                await sockets.close(self._websocket, 1001 if self._service.stopping.is_set() else 1000)
                return


async def _config(websocket: WebSocket) -> StreamConfig:
    late = "The configuration did not come in time."
    return read_config((await sockets.receive(websocket, CONFIG_SECONDS, late, "config_timeout")).get("text"))
