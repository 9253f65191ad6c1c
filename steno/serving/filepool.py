"""Files to worker processes: a queue, batches across requests, deadlines, and new workers for those that die."""

import asyncio
import itertools
import logging
from asyncio import FIRST_COMPLETED
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

from steno.errors import ModelError
from steno.serving.config import ServeConfig
from steno.serving.logs import event
from steno.serving.metrics import Metrics
from steno.serving.problems import ApiError
from steno.serving.process import Process
from steno.serving.wire import Frame

BATCH_BYTES = 32 * 1024 * 1024
"""Uploads that go to a worker in one batch, unless one alone is greater."""

PATIENCE = 2.0
"""Seconds that a worker may go on for clients that have all left; a new one is ready about as soon."""

LONGEST_PAUSE = 30.0
"""Seconds between two attempts to start a worker that keeps dying."""

_STATUS = {"invalid_audio": 400, "audio_too_long": 413, "internal_error": 500}


@dataclass(eq=False)
class Job:
    """One upload that waits or is worked on. ``entered`` is on the monotonic clock.

    ``suspect`` says that a worker died with it: it gets one more try, alone, so that a recording that kills workers
    costs no other request.
    """

    number: int
    upload: BinaryIO
    size: int
    answer: asyncio.Future[dict[str, Any]]
    entered: float = field(default_factory=monotonic)
    suspect: bool = False


class WorkerDied(Exception):
    """The worker is gone; its jobs have been told."""


class FilePool:
    """Workers over one model folder. ``ready`` says how many there are now."""

    def __init__(self, folder: Path, config: ServeConfig, threads: int, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self.ready = 0
        self._start = lambda: Process.start("files", folder, threads, config)
        self._queue: asyncio.Queue[Job | None] = asyncio.Queue()
        self._numbers = itertools.count()
        self._slots: list[asyncio.Task[None]] = []
        self._idle = 0
        self._seconds_a_job = 1.0

    async def start(self) -> None:
        """Start every worker and wait until all are ready.

        Raises:
            ModelError: the model cannot be loaded.
        """
        workers = await gather_or_stop([self._start() for _ in range(self._config.workers)])
        self._slots = [asyncio.create_task(self._keep(worker)) for worker in workers]

    async def close(self) -> None:
        """Take no more, finish what waits, stop."""
        for _ in self._slots:
            self._queue.put_nowait(None)
        await asyncio.gather(*self._slots)

    async def abandon(self) -> None:
        """Stop now; what waits is refused."""
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        while not self._queue.empty():
            if job := self._queue.get_nowait():
                _fail([job], ApiError(503, "The server is stopping.", "stopping", retry_after=5))

    def submit(self, upload: BinaryIO, size: int, deadline: float) -> Job:
        """Queue an upload, to be answered by a deadline on the monotonic clock. Cancel the answer to withdraw it."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        job = Job(next(self._numbers), upload, size, answer)
        # Whoever waits too long is told so, be there a worker or none.
        late = asyncio.get_running_loop().call_later(max(0.0, deadline - monotonic()), _fail, [job], _too_late())
        answer.add_done_callback(lambda _: late.cancel())
        self._queue.put_nowait(job)
        self._metrics.queue.inc()
        return job

    def wait_estimate(self) -> int:
        """Seconds until a new job would start, from how long the last ones took: what Retry-After says."""
        return max(1, min(60, round(self._queue.qsize() * self._seconds_a_job / self._config.workers)))

    async def _keep(self, worker: Process) -> None:
        """One place for a worker: serve, and start another when it dies, until the pool is closed."""
        while True:
            with self._metrics.workers.labels("files").track_inprogress(), self._counted():
                try:
                    while batch := await self._taken_while_alive(worker):
                        await self._work(worker, batch)
                    await worker.stop(patience=5.0)
                    return
                except WorkerDied:
                    await worker.stop()
                except asyncio.CancelledError:
                    await worker.stop()
                    raise
                except Exception as error:  # a place must never be lost to what nobody thought of
                    event("a batch failed", logging.ERROR, kind="files", reason=repr(error))
                    await worker.stop()
            event("worker died", logging.ERROR, kind="files", pid=worker.pid)
            self._metrics.restarts.inc()
            worker = await restarted(self._start)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.ready += 1
        try:
            yield
        finally:
            self.ready -= 1

    async def _taken_while_alive(self, worker: Process) -> list[Job]:
        """Jobs for a worker that is alive; one that dies while it is idle costs nobody anything."""
        taking, dying = asyncio.ensure_future(self._take()), asyncio.ensure_future(worker.gone())
        try:
            await asyncio.wait((taking, dying), return_when=FIRST_COMPLETED)
            jobs = taking.result() if taking.done() else None
            if jobs == [] or not dying.done():
                return jobs or []
            self._put_back(jobs or ())
            raise WorkerDied
        finally:
            taking.cancel()
            dying.cancel()

    async def _take(self) -> list[Job]:
        """Jobs for one worker: what waits, shared with the other idle workers; empty when the pool is closed."""
        self._idle += 1
        try:
            first = await self._next()
        finally:
            self._idle -= 1
        if first is None:
            return []
        batch, size = [first], first.size
        if first.suspect:
            return batch
        share = min(self._config.max_batch, -(-(self._queue.qsize() + 1) // (self._idle + 1)))
        # Nothing is awaited with a job in hand: it would wait as well, and be lost if this were cancelled.
        while len(batch) < share and size < BATCH_BYTES and not self._queue.empty():
            job = self._queue.get_nowait()
            if job is None:
                self._queue.put_nowait(None)
                break
            if not self._is_wanted(job):
                continue
            if job.suspect:
                self._put_back([job])
                break
            batch.append(job)
            size += job.size
        return batch

    async def _next(self) -> Job | None:
        """The next job that somebody still waits for."""
        while True:
            job = await self._queue.get()
            if job is None or self._is_wanted(job):
                return job

    def _is_wanted(self, job: Job) -> bool:
        """Whether somebody still waits for a job that has left the queue."""
        self._metrics.queue.dec()
        if job.answer.done():
            return False
        self._metrics.queue_seconds.observe(monotonic() - job.entered)
        return True

    async def _work(self, worker: Process, batch: list[Job]) -> None:
        started = monotonic()
        running: dict[int, Job] = {}
        receiving: asyncio.Future[Frame | None] | None = None
        try:
            for job in batch:
                try:
                    job.upload.seek(0)
                    worker.send({"id": job.number}, job.upload.read())
                except ValueError:  # its client has left, and the web server has closed the upload
                    _fail([job], _too_late())
                else:
                    running[job.number] = job
            while running:
                receiving = receiving or asyncio.ensure_future(worker.receive())
                waited_for = [job.answer for job in running.values() if not job.answer.done()]
                # One whose client leaves, or is late, changes nothing for the others of its batch.
                watched: set[asyncio.Future[Any]] = {receiving, *waited_for}
                await asyncio.wait(watched, timeout=None if waited_for else PATIENCE, return_when=FIRST_COMPLETED)
                if not receiving.done():
                    if not waited_for:
                        raise WorkerDied
                    continue
                frame, receiving = receiving.result(), None
                if frame is None:
                    again = [job for job in running.values() if not job.suspect]
                    _fail([job for job in running.values() if job.suspect], _deadly())
                    for job in again:
                        job.suspect = True
                    self._put_back(again)
                    raise WorkerDied
                head, _ = frame
                if head["id"] in running:
                    _answer(running.pop(head["id"]), head)
        except asyncio.CancelledError:
            _fail(running.values(), ApiError(503, "The server is stopping.", "stopping", retry_after=5))
            raise
        except WorkerDied:
            raise
        except Exception:
            _fail(running.values(), ApiError(500, "The request failed; the server's log says why.", "internal_error"))
            raise
        finally:
            if receiving is not None:
                receiving.cancel()
        self._seconds_a_job += 0.2 * ((monotonic() - started) / len(batch) - self._seconds_a_job)

    def _put_back(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._queue.put_nowait(job)
            self._metrics.queue.inc()


def _answer(job: Job, head: dict[str, Any]) -> None:
    if job.answer.done():
        return
    if problem := head.get("error"):
        code = problem["code"]
        job.answer.set_exception(ApiError(_STATUS[code], problem["message"], code, "file"))
    else:
        job.answer.set_result(head)


def _fail(jobs: Iterable[Job], error: ApiError) -> None:
    for job in jobs:
        if not job.answer.done():
            job.answer.set_exception(error)


def _deadly() -> ApiError:
    return ApiError(503, "The worker died twice over this request.", "worker_died", "file", retry_after=1)


def _too_late() -> ApiError:
    return ApiError(503, "The request took longer than the server allows.", "timeout", retry_after=5)


async def gather_or_stop(starting: list[Awaitable[Process]]) -> list[Process]:
    """Processes that start together; where one fails the others are stopped and its error is raised."""
    results = await asyncio.gather(*starting, return_exceptions=True)
    failed = [result for result in results if isinstance(result, BaseException)]
    if failed:
        for worker in results:
            if isinstance(worker, Process):
                await worker.stop()
        raise failed[0]
    return [worker for worker in results if isinstance(worker, Process)]


async def restarted(start: Callable[[], Awaitable[Process]]) -> Process:
    """A new worker, tried again with growing pauses until it starts."""
    attempt = 0
    while True:
        try:
            return await start()
        except (ModelError, OSError) as error:
            event("worker cannot be started", logging.ERROR, reason=str(error))
            await asyncio.sleep(min(LONGEST_PAUSE, 2.0**attempt))
            attempt += 1
