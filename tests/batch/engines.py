"""Engines without a cluster: the same transcriber, in this process, with what can go wrong."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from steno.batch.tasks import Done, Task
from steno.batch.worker import Model, Transcriber


@dataclass
class InProcess:
    """Transcribes here, and notes what.

    ``dies_on`` are ids whose task gives nothing, as if its process had died; ``stops_after`` is the number of tasks
    after which the run is interrupted.
    """

    model: Model
    name: str
    dies_on: frozenset[str] = frozenset()
    fails_on: frozenset[str] = frozenset()
    stops_after: int | None = None
    transcribed: list[str] = field(default_factory=list)
    starts: int = 0

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        transcriber = Transcriber(self.model, self.name)
        for count, task in enumerate(tasks):
            if count == self.stops_after:
                raise KeyboardInterrupt
            ids = [item.id for item in task.items]
            if self.dies_on & set(ids):
                continue
            if self.fails_on & set(ids):
                yield Done(task.number, None, "out of memory")
                continue
            part = transcriber(task.items)
            self.transcribed += ids
            yield Done(task.number, part)

    @property
    def start(self) -> Callable:
        """What makes the engine."""

        @contextmanager
        def started() -> Iterator[InProcess]:
            self.starts += 1
            yield self

        return started
