"""Running a page's server, on this machine only, until Ctrl-C."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from steno.serving.listening import address, bound


def serve(app: ASGIApp, port: int, started: Callable[[str], None]) -> None:
    """Serve a page until a signal.

    Args:
        app: the page and its API.
        port: port on 127.0.0.1; 0 takes a free one.
        started: is told the address once requests are taken.

    Raises:
        StenoError: the port is taken.
    """
    with bound("127.0.0.1", port, "Choose another --port; 0 takes a free one.") as listening:
        config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False)
        asyncio.run(_Server(config, lambda: started(address(listening))).serve([listening]))


class _Server(uvicorn.Server):
    """uvicorn that ends in order at the first signal, and tells when it takes requests."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True
