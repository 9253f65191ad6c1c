"""Many tasks through worker processes: in order, in bounded memory, and none costs another."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import Generic, TypeVar

from steno.cores import become_worker
from steno.errors import StenoError

Task = TypeVar("Task")
Result = TypeVar("Result")

_CHUNK = 16
_CHUNKS_AHEAD = 4  # for each worker; what is decoded before it is asked for


def map_in_order(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    crashed: Callable[[Task], Result],
) -> Iterator[Result]:
    """Results in the order of the tasks, of which only a few are ahead at any time.

    Args:
        function: does one task; it can be pickled, and so can tasks and results.
        tasks: read as they are needed.
        workers: processes; with 0 the work is done in this one.
        crashed: result of a task that ended its process, as a damaged file can do to a decoder.

    Raises:
        StenoError: no worker process can be started.
    """
    if workers < 1:
        yield from map(function, tasks)
        return
    pool = _pool(workers)
    alone = _Alone(function, crashed)
    pending: deque[tuple[list[Task], Future[list[Result]] | None]] = deque()
    remaining = iter(tasks)
    try:
        while True:
            while len(pending) < _CHUNKS_AHEAD * workers and (chunk := list(islice(remaining, _CHUNK))):
                try:
                    pending.append((chunk, pool.submit(_run, function, chunk)))
                except BrokenProcessPool:
                    pending.append((chunk, None))
                    pool.shutdown()
                    pool = _pool(workers)
            if not pending:
                return
            chunk, future = pending.popleft()
            try:
                results = future.result() if future else None
            except BrokenProcessPool:
                results = None
            yield from map(alone, chunk) if results is None else results
    finally:
        pool.shutdown(cancel_futures=True)
        alone.close()


class _Alone(Generic[Task, Result]):
    """Does single tasks in a process of their own, to find the one that ends it."""

    def __init__(self, function: Callable[[Task], Result], crashed: Callable[[Task], Result]) -> None:
        self._function = function
        self._crashed = crashed
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, task: Task) -> Result:
        if self._pool is None:
            self._pool = _pool(1)
            try:
                self._pool.submit(os.getpid).result()
            except BrokenProcessPool:
                raise StenoError("no worker process can be started", "Use: --workers 0") from None
        try:
            return self._pool.submit(self._function, task).result()
        except BrokenProcessPool:
            self.close()
            return self._crashed(task)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _run(function: Callable[[Task], Result], chunk: list[Task]) -> list[Result]:
    return [function(task) for task in chunk]


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=become_worker)
