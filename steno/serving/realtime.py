"""``WS /v1/realtime``: OpenAI's Realtime API, as far as it transcribes."""

import asyncio
from dataclasses import dataclass, field
from itertools import count, takewhile
from time import monotonic
from typing import Any, NoReturn

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from steno.serving import realtime_beta, sockets
from steno.serving.live_protocol import bytes_a_second
from steno.serving.problems import ApiError
from steno.serving.realtime_protocol import (
    Append,
    BetaUpdate,
    Clear,
    Commit,
    Input,
    Session,
    Update,
    check_query,
    event_id,
    read_event,
    updated,
)
from steno.serving.service import Service
from steno.serving.sockets import Left
from steno.serving.streampool import Stream

router = APIRouter()

PROTOCOL, KEY_PREFIX = "realtime", "openai-insecure-api-key."
"""Subprotocols of OpenAI's browser clients: the one that is spoken, and one that carries a key."""

_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_CLEARED = {"type": "cleared"}


@router.websocket("/v1/realtime")
async def realtime(websocket: WebSocket) -> None:
    """One connection, from its handshake to its end."""
    service: Service = websocket.app.state.service
    service.check_key(sockets.key_of(websocket, KEY_PREFIX))  # refused with a status, before the handshake
    with service.stream():
        await websocket.accept(PROTOCOL if PROTOCOL in websocket.scope["subprotocols"] else None)
        try:
            asked = websocket.query_params
            check_query(asked.get("intent"), asked.get("model"), service.config.names)
            await service.engine.streams.loaded.wait()
            await _Conversation(websocket, service).run()
        except ApiError as error:
            said = {"type": "error", "event_id": "event_0", "error": _told(error, None)}
            await sockets.refuse(websocket, error, said)
        except (Left, WebSocketDisconnect):
            sockets.abort(websocket)


@dataclass
class _Turn:
    """Audio that one stream hears, up to a commit; times of the stream count from ``start``, in seconds."""

    stream: Stream
    start: float
    input: Input
    item: str | None
    size: int = 0
    finished: float | None = None

    @property
    def seconds(self) -> float:
        """Of its audio so far."""
        return self.size / bytes_a_second(self.input.encoding, self.input.sample_rate)


@dataclass
class Utterance:
    """An utterance that is being heard, and what of it was told already."""

    item: str
    told: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)

    def settled(self, text: str) -> str:
        """What is new and is not likely to change: words that two results agree on, but for the last."""
        words = text.split()
        agreed = takewhile(lambda pair: pair[0] == pair[1], zip(words[:-1], self.before, strict=False))
        told = self.rest([word for word, _ in agreed])
        self.before = words
        return told

    def rest(self, words: list[str]) -> str:
        """What of these words was not told yet; nothing where others were told in their place."""
        if words[: len(self.told)] != self.told:
            return ""
        new = words[len(self.told) :]
        space = " " if self.told and new else ""
        self.told = words
        return space + " ".join(new)


class _Conversation:
    """Two tasks: what the client sends, and what is heard in one turn after the other."""

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self._websocket = websocket
        self._service = service
        self._engine = service.engine
        self._notes: dict[str, Any] = websocket.state.notes
        self._notes |= {"version": self._engine.version}
        self._session = Session()
        self._beta = False
        """Whether the session was last changed in the words of the API's beta, so that it is told in them."""
        self._turn: _Turn | None = None
        self._turns: asyncio.Queue[_Turn | None] = asyncio.Queue()
        self._open: set[Stream] = set()
        self._seconds = 0.0
        self._numbers = count(1)
        self._last: str | None = None

    async def run(self) -> None:
        """Until the client leaves, or something is wrong that cannot be mended."""
        try:
            await self._tell_session("session.created")
            await sockets.first_of(self._hear(), self._tell(), sockets.stop_in_time(self._service, self._leave))
        finally:
            for stream in self._open:
                stream.close()
            heard = self._seconds + (self._turn.seconds if self._turn else 0.0)
            self._notes["audio_seconds"] = round(heard, 2)

    # ---- what the client sends

    async def _hear(self) -> NoReturn:
        while True:
            text = (await self._message()).get("text")
            try:
                await self._obey(text)
            except ApiError as error:
                if error.status >= 429:
                    raise
                await self._say("error", error=_told(error, event_id(text)))

    async def _message(self) -> dict[str, Any]:
        """The client's next message; who waits for what was committed is not idle.

        Raises:
            ApiError: none came in time, and the server owes nothing.
            Left: the client has gone.
        """
        while True:
            try:
                return await sockets.receive(self._websocket, self._service.config.idle_seconds)
            except ApiError as error:
                if error.code != "idle" or not self._owes:
                    raise

    @property
    def _owes(self) -> bool:
        """Whether what has no more audio to come is still being heard."""
        now = self._turn.stream if self._turn is not None else None
        return any(stream is not now for stream in self._open)

    async def _obey(self, text: str | None) -> None:
        asked = read_event(text)
        if isinstance(asked, Append):
            await self._feed(asked.data())
        elif isinstance(asked, Commit):
            await self._commit()
        elif isinstance(asked, Clear):
            self._clear()
            await self._say("input_audio_buffer.cleared")
        else:
            await self._update(asked)

    async def _update(self, asked: Update | BetaUpdate) -> None:
        config = self._service.config
        beta = isinstance(asked, BetaUpdate)
        change = realtime_beta.translated(asked.session) if beta else asked.session
        session = updated(self._session, change, config.names, config.language)
        if self._turn is not None and Input.of(session) != self._turn.input:
            raise ApiError(
                400, "There is audio under the settings of before: commit or clear it first.", "invalid_state"
            )
        self._session, self._beta = session, beta
        await self._tell_session("transcription_session.updated" if beta else "session.updated")

    async def _feed(self, audio: bytes) -> None:
        if self._service.stopping.is_set() and self._turn is None:
            return
        wanted = Input.of(self._session)
        if wanted.encoding == "pcm16" and len(audio) % 2:
            raise ApiError(400, "16-bit samples have an even number of bytes.", "invalid_audio", "audio")
        if not audio:
            return
        if self._turn is None:
            self._turn = self._begin(wanted)
        self._turn.size += len(audio)
        await self._turn.stream.feed(audio)

    def _begin(self, wanted: Input) -> _Turn:
        settings = {
            "encoding": wanted.encoding,
            "sample_rate": wanted.sample_rate,
            "endpointing": wanted.pause is not None,
            "pause": wanted.pause,
        }
        stream = self._engine.streams.open(settings, bytes_a_second(wanted.encoding, wanted.sample_rate))
        self._notes["encoding"] = wanted.encoding
        turn = _Turn(stream, self._seconds, wanted, self._item() if wanted.pause is None else None)
        self._open.add(stream)
        self._turns.put_nowait(turn)
        return turn

    async def _commit(self) -> None:
        turn = self._end()
        if turn is None:
            raise ApiError(400, "There is no audio to commit.", "input_audio_buffer_commit_empty")
        if turn.item is not None:
            await self._say_committed(turn.item)

    def _end(self) -> _Turn | None:
        """The turn that there is has no more audio."""
        turn, self._turn = self._turn, None
        if turn is not None:
            self._seconds += turn.seconds
            turn.finished = monotonic()
            turn.stream.finish()
        return turn

    def _clear(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self._seconds += turn.seconds
            turn.stream.close()
            turn.stream.events.put_nowait(_CLEARED)

    # ---- what the client is told

    async def _tell(self) -> None:
        while (turn := await self._turns.get()) is not None:
            utterance = Utterance(turn.item) if turn.item is not None else None
            while (said := await self._next(turn, utterance))["type"] not in ("done", "cleared"):
                if said["type"] == "partial" and said["text"]:
                    utterance = utterance or await self._started(turn, said["spoken"])
                    await self._say_delta(utterance, utterance.settled(said["text"]))
                elif said["type"] == "final" and (said["text"] or turn.item is not None):
                    if utterance is None:
                        utterance = await self._started(turn, said["words"][0]["start"])
                    await self._say_final(turn, utterance, said)
                    utterance = None
            self._open.discard(turn.stream)
            if turn.finished is not None and said["type"] == "done":
                self._service.metrics.final_seconds.observe(monotonic() - turn.finished)
        await sockets.close(self._websocket, 1001)

    async def _next(self, turn: _Turn, utterance: Utterance | None) -> dict[str, Any]:
        said = await turn.stream.events.get()
        if isinstance(said, ApiError):
            if utterance is not None:
                await self._say(f"{_TRANSCRIPTION}.failed", item_id=utterance.item, content_index=0, **said.body)
            raise said
        return said

    async def _started(self, turn: _Turn, second: float) -> Utterance:
        utterance = Utterance(self._item())
        at = round(1000 * (turn.start + second))
        await self._say("input_audio_buffer.speech_started", audio_start_ms=at, item_id=utterance.item)
        return utterance

    async def _say_final(self, turn: _Turn, utterance: Utterance, said: dict[str, Any]) -> None:
        seconds = turn.seconds
        if turn.item is None:
            seconds = said["end"] - said["start"]
            at = round(1000 * (turn.start + said["end"]))
            await self._say("input_audio_buffer.speech_stopped", audio_end_ms=at, item_id=utterance.item)
            await self._say_committed(utterance.item)
        await self._say_delta(utterance, utterance.rest(said["text"].split()))
        if self._service.config.log_transcripts:
            self._notes.setdefault("finals", []).append(said["text"])
        await self._say(
            f"{_TRANSCRIPTION}.completed",
            item_id=utterance.item,
            content_index=0,
            transcript=said["text"],
            usage={"type": "duration", "seconds": round(seconds, 3)},
        )

    async def _say_committed(self, item: str) -> None:
        before, self._last = self._last, item
        content = [{"type": "input_audio", "transcript": None}]
        about = {"id": item, "type": "message", "role": "user", "status": "completed", "content": content}
        await self._say("input_audio_buffer.committed", item_id=item, previous_item_id=before)
        for kind in ("created",) if self._beta else ("added", "done"):
            await self._say(f"conversation.item.{kind}", item=about, previous_item_id=before)

    async def _say_delta(self, utterance: Utterance, delta: str) -> None:
        if delta:
            await self._say(f"{_TRANSCRIPTION}.delta", item_id=utterance.item, content_index=0, delta=delta)

    async def _tell_session(self, kind: str) -> None:
        about = realtime_beta.told(self._session) if self._beta else self._session.model_dump()
        names = {"id": self._notes["id"], "object": "realtime.transcription_session"}
        await self._say(kind, session={**names, **about})

    async def _say(self, kind: str, **fields: Any) -> None:
        await sockets.send(self._websocket, {"type": kind, "event_id": f"event_{next(self._numbers)}", **fields})

    def _item(self) -> str:
        return f"item_{next(self._numbers)}"

    def _leave(self) -> None:
        """The server goes: after what was heard nothing follows."""
        self._end()
        self._turns.put_nowait(None)


def _told(error: ApiError, of_event: str | None) -> dict[str, Any]:
    """An error in the API's form, with the client's own name for its event."""
    about: dict[str, Any] = error.body["error"] | {"event_id": of_event}
    return about if error.retry_after is None else about | {"retry_after": error.retry_after}
