"""The server's state: who is inside, the model in use and the one before it, and the way out."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from time import time

from steno.cores import usable_cores
from steno.runtime.folder import CONFIG
from steno.serving.config import ServeConfig
from steno.serving.filepool import FilePool
from steno.serving.keys import Keys
from steno.serving.logs import event
from steno.serving.metrics import Metrics
from steno.serving.problems import ApiError
from steno.serving.streampool import StreamPool

LINGER_SECONDS = 3600.0
"""Time that streams may go on with a model that another has replaced."""


class Engine:
    """The workers of one model folder."""

    def __init__(self, folder: Path, config: ServeConfig, metrics: Metrics) -> None:
        threads = max(1, usable_cores() // config.workers)
        self.folder = folder
        self.version = hashlib.sha256((folder / CONFIG).read_bytes()).hexdigest()[:12]
        self.loaded = int(time())
        self.files = FilePool(folder, config, threads, metrics)
        self.streams = StreamPool(folder, config, threads, metrics)

    async def close(self) -> None:
        """Finish the files and, for up to an hour, the streams that are inside, then stop."""
        await self.files.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self.streams.count:
                    await asyncio.sleep(0.05)
        await self.streams.close()

    async def abandon(self) -> None:
        """Stop now."""
        await self.files.abandon()
        await self.streams.close()


class Service:
    """What the routes work with."""

    def __init__(self, config: ServeConfig, keys: Keys) -> None:
        self.config = config
        self.keys = keys
        self.metrics = Metrics()
        self.stopping = asyncio.Event()
        self.answering = asyncio.Event()
        """Set from when files are transcribed; a moment later streams are taken too."""
        self._loading = asyncio.Lock()
        self._engine: Engine | None = None
        self._old: dict[Engine, asyncio.Task[None]] = {}
        self._inside = 0
        self._streams = 0
        self._strangers = 0

    @property
    def engine(self) -> Engine:
        """The model in use.

        Raises:
            ApiError: there is none yet.
        """
        if self._engine is None:
            raise ApiError(503, "The model is being loaded.", "loading", retry_after=2)
        return self._engine

    @property
    def ready(self) -> bool:
        """Whether files and streams are taken, and there is a worker for them."""
        engine = self._engine
        if engine is None or self.stopping.is_set() or not engine.streams.loaded.is_set():
            return False
        return bool(engine.files.ready)

    @property
    def inside(self) -> int:
        """Requests and streams that have been admitted and are not done."""
        return self._inside + self._streams

    async def use(self, folder: Path) -> None:
        """Load a model, warm it up and put it in the place of the one before, which finishes what it has.

        The first one answers for files before its workers for streams are loaded: two that load at once would take
        each other's processors.

        Raises:
            ModelError: it cannot be loaded; the one before stays.
        """
        async with self._loading:
            engine, before = Engine(folder, self.config, self.metrics), self._engine
            try:
                await engine.files.start()
                if before is None:
                    self._engine = engine
                    self.answering.set()
                await engine.streams.start()
            except BaseException:
                self._engine = before
                await engine.abandon()
                raise
            self._engine = engine
        self.metrics.loaded_at.set_to_current_time()
        event("model loaded", model=str(folder), version=engine.version)
        if before is not None:
            self.metrics.swaps.inc()
            self._old[before] = asyncio.create_task(self._retire(before))

    async def _retire(self, engine: Engine) -> None:
        await engine.close()
        del self._old[engine]
        event("model retired", model=str(engine.folder), version=engine.version)

    async def drain(self, seconds: float) -> None:
        """Refuse what is new and wait for what is inside, up to ``seconds``; files that are left then are told."""
        self.stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.inside:
                    await asyncio.sleep(0.05)
        for engine in (self._engine, *self._old):
            if engine is not None:
                await engine.files.abandon()

    async def close(self) -> None:
        """Stop the workers."""
        for engine, task in list(self._old.items()):
            task.cancel()
            await engine.abandon()
        engine_now, self._engine = self._engine, None
        if engine_now is not None:
            await engine_now.abandon()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """A place inside for one request.

        Raises:
            ApiError: the server is full, stopping, or not ready yet.
        """
        self._check_open()
        if self._inside >= self.config.max_queue:
            raise self.refusal("queue_full", "The server is full.", self.engine.files.wait_estimate())
        self._inside += 1
        self.metrics.inside.inc()
        try:
            yield
        finally:
            self._inside -= 1
            self.metrics.inside.dec()

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """A place for one stream.

        Raises:
            ApiError: as :meth:`request`.
        """
        self._check_open()
        if self._streams >= self.config.max_streams:
            raise self.refusal("streams_full", f"All {self.config.max_streams} streams are in use.", 5)
        self._streams += 1
        self.metrics.streams.inc()
        try:
            yield
        finally:
            self._streams -= 1
            self.metrics.streams.dec()

    @contextlib.contextmanager
    def stranger(self) -> Iterator[None]:
        """A place for a connection that has still to show its key.

        Raises:
            ApiError: as :meth:`request`.
        """
        self._check_open()
        if self._strangers >= 2 * self.config.max_streams + 8:
            raise self.refusal("streams_full", "Too many connections have not shown their key yet.", 5)
        self._strangers += 1
        try:
            yield
        finally:
            self._strangers -= 1

    def refusal(self, code: str, message: str, retry_after: int) -> ApiError:
        """A refusal for want of room, which is counted."""
        self.metrics.refusals.labels(code).inc()
        return ApiError(429, f"{message} Try again later.", code, retry_after=retry_after)

    def check_key(self, key: str | None) -> None:
        """Raise unless the key opens the server.

        Raises:
            ApiError: 401.
        """
        if not self.keys.admit(key):
            self.metrics.refusals.labels("invalid_api_key").inc()
            said = "Incorrect API key provided." if key else "You did not provide an API key."
            raise ApiError(401, f"{said} Send it as `Authorization: Bearer KEY`.", "invalid_api_key")

    def _check_open(self) -> None:
        if self.stopping.is_set():
            self.metrics.refusals.labels("stopping").inc()
            raise ApiError(503, "The server is stopping.", "stopping", retry_after=5)
        if self._engine is None:
            self.metrics.refusals.labels("loading").inc()
            raise ApiError(503, "The model is being loaded.", "loading", retry_after=2)
