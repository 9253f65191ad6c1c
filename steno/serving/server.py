"""Running the server: load, listen, follow an alias, and leave in order when asked to."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from pathlib import Path
from time import monotonic

from steno.serving.config import ServeConfig
from steno.serving.keys import Keys
from steno.serving.listening import address, bound
from steno.serving.logs import event, setup
from steno.serving.service import Service

WATCH_SECONDS = 2.0
"""Time between two looks at an alias."""

RETRY_SECONDS = 60.0
"""Time after which a model that could not be loaded is tried again."""

Resolve = Callable[[], Path]
"""The folder that the model's reference means now."""


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
    listening = bound(host, port)
    service = Service(config, keys)
    loading: asyncio.Task[None] | None = None
    try:
        folder = await asyncio.to_thread(resolve)
        # The workers load the model while the web server's modules are loaded here.
        loading = asyncio.create_task(service.use(folder))
        front = await asyncio.to_thread(import_module, "steno.serving.front")
        await _either(loading, service.answering)
        server = front.Server(service, host, lambda: started(address(listening)))
        loading.add_done_callback(server.stop_where_failed)
        async with _following(service, resolve, folder) if watch else contextlib.nullcontext():
            await server.serve([listening])
        if loading.done():
            loading.result()
    finally:
        if loading is not None:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
        await service.close()
        listening.close()


async def _either(loading: asyncio.Task[None], answering: asyncio.Event) -> None:
    """Wait until files are transcribed.

    Raises:
        ModelError: the model could not be loaded.
    """
    waiting = asyncio.create_task(answering.wait())
    await asyncio.wait((loading, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if loading.done():
        loading.result()


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
    trouble, failed, again = "", folder, 0.0
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            found = await asyncio.to_thread(resolve)
            if found != folder and (found != failed or monotonic() >= again):
                failed, again = found, monotonic() + RETRY_SECONDS
                with service.metrics.load_failures.count_exceptions():
                    await service.use(found)
                folder = found
                service.metrics.left_behind.set(0)
            elif found == folder:
                service.metrics.left_behind.set(0)
            trouble = ""
        except Exception as error:  # whatever it is, the model in use stays in use, and is followed on
            service.metrics.left_behind.set(1)
            if str(error) != trouble:
                trouble = str(error)
                event("the model cannot be followed", logging.WARNING, reason=trouble)
