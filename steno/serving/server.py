"""Running the server: load, listen, follow an alias, and leave in order when asked to."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from steno.errors import StenoError
from steno.serving.app import create_app
from steno.serving.config import ServeConfig
from steno.serving.keys import Keys
from steno.serving.logs import event, setup
from steno.serving.protocols import HttpProtocol, LiveProtocol
from steno.serving.service import Service

WATCH_SECONDS = 2.0
"""Time between two looks at an alias."""

FRAME_BYTES = 1024 * 1024
"""The greatest WebSocket message."""

RECEIVE_BYTES = 256 * 1024
"""What the system buffers of a connection: little, as a client's pings wait behind the audio that it is ahead."""

Resolve = Callable[[], Path]
"""The folder that the model's reference means now."""


class Server(uvicorn.Server):
    """uvicorn, which on the first signal drains and only then stops; on the second it stops."""

    def __init__(self, config: uvicorn.Config, service: Service, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._tell_started = started
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._tell_started()

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


def serve(
    resolve: Resolve, watch: bool, host: str, port: int, config: ServeConfig, keys: Keys, started: Callable[[str], None]
) -> None:
    """Serve until a signal.

    Args:
        resolve: finds the model folder; called again and again with ``watch``.
        watch: swap the model when ``resolve`` finds another folder.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        config: limits.
        keys: API keys.
        started: is told the address once requests are taken.

    Raises:
        StenoError: the model cannot be loaded, or the address is taken.
    """
    setup()
    asyncio.run(_serve(resolve, watch, host, port, config, keys, started))


async def _serve(
    resolve: Resolve, watch: bool, host: str, port: int, config: ServeConfig, keys: Keys, started: Callable[[str], None]
) -> None:
    listening = _bound(host, port)
    service = Service(config, keys)
    try:
        folder = await asyncio.to_thread(resolve)
        await service.use(folder)
        name, number = listening.getsockname()[:2]
        address = f"http://{f'[{name}]' if ':' in name else name}:{number}"
        server = Server(_settings(create_app(service, host), config), service, lambda: started(address))
        async with _following(service, resolve, folder) if watch else contextlib.nullcontext():
            await server.serve([listening])
    finally:
        await service.close()
        listening.close()


def _settings(app: ASGIApp, config: ServeConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,
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
        limit_concurrency=2 * (config.max_queue + config.max_streams) + 256,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )


def _bound(host: str, port: int) -> socket.socket:
    """A socket at the address. It does not listen yet: while the model is loaded, clients are refused at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        try:
            bound.bind(address)
        except OSError:
            bound.close()
            raise
        return bound
    except OSError as error:
        raise StenoError(
            f"{host}:{port}: cannot be listened on ({error})", "Choose another --host or --port."
        ) from None


@contextlib.asynccontextmanager
async def _following(service: Service, resolve: Resolve, folder: Path) -> AsyncIterator[None]:
    task = asyncio.create_task(follow(service, resolve, folder))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def follow(service: Service, resolve: Resolve, folder: Path) -> None:
    """Swap the model whenever the reference means another folder. A registry that is away changes nothing."""
    trouble = ""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            found = await asyncio.to_thread(resolve)
            if found != folder:
                folder = found  # also if it cannot be loaded: it is not tried again and again
                await service.use(found)
            trouble = ""
        except (StenoError, OSError) as error:
            if str(error) != trouble:
                trouble = str(error)
                event("the model cannot be followed", logging.WARNING, reason=trouble)
