"""The web server before the service: uvicorn with the limits of the service, which drains before it stops."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from steno.serving.app import create_app
from steno.serving.logs import event
from steno.serving.protocols import HttpProtocol, LiveProtocol
from steno.serving.service import Service

FRAME_BYTES = 1024 * 1024
"""The greatest WebSocket message."""


class Server(uvicorn.Server):
    """uvicorn, which on the first signal drains and only then stops; on the second it stops."""

    def __init__(self, service: Service, host: str, started: Callable[[], None]) -> None:
        super().__init__(_settings(service, host))
        self._service = service
        self._tell_started = started
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._tell_started()

    def stop_where_failed(self, loading: "asyncio.Task[None]") -> None:
        """Stop when what was still being loaded cannot be."""
        if not loading.cancelled() and loading.exception() is not None:
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is None and self._loop is not None and not self.should_exit:
            self._loop.call_soon_threadsafe(self._drain)
        else:
            super().handle_exit(sig, frame)

    def _drain(self) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._leave())

    async def _leave(self) -> None:
        event("draining", inside=self._service.inside)
        await self._service.drain(self._service.config.drain_seconds)
        event("stopping", left=self._service.inside)
        self.should_exit = True


def _settings(service: Service, host: str) -> uvicorn.Config:
    config = service.config
    return uvicorn.Config(
        create_app(service, host),
        http=HttpProtocol,
        ws=LiveProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=FRAME_BYTES,
        ws_ping_interval=20.0,
        ws_ping_timeout=40.0,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=32 * 1024,
        # Idle connections count too, and what uvicorn refuses is told in its own words: far above what Steno refuses.
        limit_concurrency=4 * (config.max_queue + config.max_streams) + 4096,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
