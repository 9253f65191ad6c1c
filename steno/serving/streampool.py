"""Live streams to worker processes: each stream has one worker, which steps all of its streams together."""

import asyncio
import itertools
import logging
from pathlib import Path
from typing import Any

from steno.serving.config import ServeConfig
from steno.serving.filepool import gather_or_stop, restarted
from steno.serving.logs import event
from steno.serving.metrics import Metrics
from steno.serving.problems import ApiError
from steno.serving.process import Process

AHEAD_SECONDS = 10.0
"""Audio that a client may be ahead of the worker before it is not read any further."""

MOST_EVENTS = 256
"""Events that wait for a client before it is given up as too slow."""


_STATUS = {"invalid_audio": 400, "audio_too_long": 413, "internal_error": 500}


class Stream:
    """One live stream. ``events`` holds what the worker said, or the :class:`ApiError` that ended it."""

    def __init__(self, number: int, place: "Place", bytes_a_second: float) -> None:
        self._number = number
        self._place = place
        self._most = AHEAD_SECONDS * bytes_a_second
        self._ahead = 0
        self._room = asyncio.Event()
        self._room.set()
        self._finished = False
        self.events: asyncio.Queue[dict[str, Any] | ApiError] = asyncio.Queue()

    async def feed(self, audio: bytes) -> None:
        """Pass audio on; waits while the worker is far behind. What comes once the stream has finished is dropped."""
        await self._room.wait()
        if self._finished:
            return
        self._ahead += len(audio)
        if self._ahead > self._most:
            self._room.clear()
        self._place.send({"do": "audio", "id": self._number}, audio)

    def finish(self) -> None:
        """No more audio: the worker says what is left, then ``done``."""
        self._finished = True
        self._place.send({"do": "finish", "id": self._number})

    def close(self) -> None:
        """Forget the stream."""
        self._place.close(self._number)

    def taken(self, size: int) -> None:
        """The worker has used up ``size`` bytes."""
        self._ahead -= size
        if self._ahead <= self._most:
            self._room.set()

    def tell(self, said: "dict[str, Any] | ApiError") -> None:
        """Queue an event for the client, or end the stream where it does not read them."""
        if self.events.qsize() == MOST_EVENTS:
            said = ApiError(429, "The client does not read what it is sent.", "client_too_slow")
        if self.events.qsize() <= MOST_EVENTS:
            self.events.put_nowait(said)
        if isinstance(said, ApiError):
            self._room.set()


class Place:
    """A place for a worker and the streams that it has now."""

    def __init__(self) -> None:
        self.worker: Process | None = None
        self.streams: dict[int, Stream] = {}

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """To the worker, if there is one."""
        if self.worker is not None:
            self.worker.send(head, body)

    def close(self, number: int) -> None:
        """Forget a stream, here and in the worker."""
        if self.streams.pop(number, None) is not None:
            self.send({"do": "close", "id": number})


class StreamPool:
    """Workers for streams over one model folder."""

    def __init__(self, folder: Path, config: ServeConfig, threads: int, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._start = lambda: Process.start("streams", folder, threads, config)
        self._numbers = itertools.count()
        self._places: list[Place] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.loaded = asyncio.Event()

    async def start(self) -> None:
        """Start every worker and wait until all are ready.

        Raises:
            ModelError: the model cannot be loaded, or cannot stream.
        """
        workers = await gather_or_stop(
            [self._start() for _ in range(self._config.workers if self._config.max_streams else 0)]
        )
        self._places = [Place() for _ in workers]
        pairs = zip(self._places, workers, strict=True)
        self._tasks = [asyncio.create_task(self._keep(place, worker)) for place, worker in pairs]
        for place, worker in zip(self._places, workers, strict=True):
            place.worker = worker
        self.loaded.set()

    @property
    def count(self) -> int:
        """Streams now."""
        return sum(len(place.streams) for place in self._places)

    def open(self, settings: dict[str, Any], bytes_a_second: float) -> Stream:
        """A new stream on the worker that has the fewest.

        Raises:
            ApiError: no worker is ready.
        """
        ready = [place for place in self._places if place.worker is not None]
        if not ready:
            raise ApiError(503, "No worker is ready for streams.", "worker_died", retry_after=2)
        place = min(ready, key=lambda place: len(place.streams))
        stream = Stream(next(self._numbers), place, bytes_a_second)
        place.streams[stream._number] = stream
        place.send({"do": "open", "id": stream._number, **settings})
        return stream

    async def close(self) -> None:
        """Stop the workers; streams that are left are told."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for place in self._places:
            self._end(place, ApiError(503, "The server is stopping.", "stopping", retry_after=5))

    async def _keep(self, place: Place, worker: Process) -> None:
        while True:
            with self._metrics.workers.labels("streams").track_inprogress():
                try:
                    while frame := await worker.receive():
                        self._heard(place, frame[0])
                except Exception as error:  # a place must never be lost to what nobody thought of
                    event("a step failed", logging.ERROR, kind="streams", reason=repr(error))
                finally:
                    place.worker = None
                    await worker.stop()
            event("worker died", logging.ERROR, kind="streams", pid=worker.pid, streams=len(place.streams))
            self._metrics.restarts.inc()
            self._end(place, ApiError(503, "The worker died.", "worker_died", retry_after=1))
            worker = await restarted(self._start)
            place.worker = worker

    def _heard(self, place: Place, head: dict[str, Any]) -> None:
        """One step of a worker: bytes used up, what was said, how long it took."""
        for number, size in head["taken"]:
            if stream := place.streams.get(number):
                stream.taken(size)
        for number, said in head["said"]:
            if stream := place.streams.get(number):
                problem = said.get("problem")
                stream.tell(
                    ApiError(_STATUS[problem["code"]], problem["message"], problem["code"]) if problem else said
                )
        if head["streams"]:
            self._metrics.batch_size.labels("streams").observe(head["streams"])
        if head["audio_seconds"]:
            self._metrics.audio_seconds.labels("streams").inc(head["audio_seconds"])
            self._metrics.real_time_factor.labels("streams").observe(head["work_seconds"] / head["audio_seconds"])

    @staticmethod
    def _end(place: Place, error: ApiError) -> None:
        for stream in place.streams.values():
            stream.tell(error)
        place.streams.clear()
