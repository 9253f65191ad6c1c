"""uvicorn's protocols with the patience that they lack: half-open clients do not keep a connection."""

import asyncio
from asyncio.transports import BaseTransport

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_SECONDS = 10.0
"""Time that a request's head may take."""

ABORT_SECONDS = 5.0
"""Time between giving a connection up politely and dropping it."""


class HttpProtocol(H11Protocol):
    """Drops a connection whose next request's head does not come in time. h11 bounds its size."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self._head_timer is None:
            self._await_head()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class LiveProtocol(WebSocketsSansIOProtocol):
    """Lets the application drop a connection, as ``scope["state"]["abort"]``; drops those that answer no ping."""

    async def run_asgi(self) -> None:
        self.scope["state"]["abort"] = self.transport.abort
        await super().run_asgi()

    def keepalive_timeout(self) -> None:
        if self.read_paused:  # the client is ahead of the worker: its answer waits behind its audio
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self.loop.call_later(ABORT_SECONDS, self.transport.abort)
