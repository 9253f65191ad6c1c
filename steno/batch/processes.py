"""Processes of this machine, each with a recogniser on one core; one that dies is replaced."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import cast

from steno.batch.source import Item
from steno.batch.tasks import RETRIES, Done, Task, tried
from steno.batch.worker import Model, Transcriber
from steno.cores import become_worker, usable_cores
from steno.errors import StenoError

_SPAWN = get_context("spawn")  # what ONNX Runtime has started does not survive a fork


@contextmanager
def started(model: Model, name: str, count: int | None) -> Iterator["ProcessEngine"]:
    """An engine of ``count`` processes; None is one for each core."""
    yield ProcessEngine(model, name, count or usable_cores())


class ProcessEngine:
    """Transcribes tasks in processes of this machine.

    Args:
        model: what each of them loads.
        name: what the table calls it.
        count: how many; each takes one core.
    """

    def __init__(self, model: Model, name: str, count: int) -> None:
        self._model, self._name, self._count = model, name, count

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Tasks as they are done, in no order. One whose process dies again and again is left out.

        Raises:
            StenoError: a process cannot load the model.
        """
        again: deque[_Try] = deque()
        coming = map(_Try, tasks)

        def following() -> _Try | None:
            return again.popleft() if again else next(coming, None)

        workers: list[_Worker] = []
        try:
            while len(workers) < self._count and (first := following()):
                workers.append(_Worker(self._model, self._name, first))
            while workers:
                for worker in _with_answers(workers):
                    at, answer = worker.at, worker.answer()
                    if answer is None and at.deaths < RETRIES:
                        again.append(_Try(at.task, at.deaths + 1))
                    after = following()
                    if answer is not None and after is not None:
                        worker.give(after)
                    else:
                        workers.remove(worker)
                        worker.stop()
                        if after is not None:
                            workers.append(_Worker(self._model, self._name, after))
                    if answer is not None:
                        part, reason = answer
                        yield Done(at.task.number, part or None, reason)
        finally:
            for worker in workers:
                worker.stop()


@dataclass(frozen=True, slots=True)
class _Try:
    """A task, and how many processes died of it."""

    task: Task
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class _CannotStart:
    reason: str


class _Worker:
    """A process, and the task that it is at."""

    def __init__(self, model: Model, name: str, first: _Try) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_work, args=(theirs, model, name), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection
        self.give(first)

    def give(self, what: _Try) -> None:
        """Have the task done; whether the process lives shows when it is asked for its answer."""
        self.at = what
        with suppress(OSError):
            self.connection.send(what.task.items)

    def answer(self) -> tuple[bytes, str] | None:
        """The part, or why there is none; None where the process died.

        Raises:
            StenoError: it could not load the model.
        """
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, _CannotStart):
            raise StenoError(f"a worker process cannot start: {answer.reason}", "Try it with steno transcribe.")
        return cast("tuple[bytes, str]", answer)

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _with_answers(workers: Sequence[_Worker]) -> list[_Worker]:
    """Wait for the answer, or the end, of at least one."""
    ready = set(wait([worker.connection for worker in workers]))
    return [worker for worker in workers if worker.connection in ready]


def _work(connection: "Connection[tuple[bytes, str] | _CannotStart, Sequence[Item]]", model: Model, name: str) -> None:
    """What a process does until nobody sends it more."""
    become_worker()
    try:
        transcriber = Transcriber(model, name)
    except Exception as error:
        connection.send(_CannotStart(str(error) or type(error).__name__))
        return
    with suppress(EOFError, BrokenPipeError):
        while True:
            connection.send(tried(transcriber, connection.recv()))
