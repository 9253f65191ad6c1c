"""What engines take and give: tasks of a batch, and what became of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from steno.batch.source import Item

RETRIES = 2
"""Times that a task is tried again after its process died."""


@dataclass(frozen=True, slots=True)
class Task:
    """Recordings that are transcribed together, and a number to tell them from others."""

    number: int
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a task: its part as Parquet, or why there is none."""

    number: int
    part: bytes | None
    reason: str = ""


class Engine(Protocol):
    """Who transcribes: processes of this machine, or actors on a Ray cluster."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Tasks as they are done, in any order; some may be left out."""


def tried(transcribe: Callable[[Sequence[Item]], bytes], items: Sequence[Item]) -> tuple[bytes, str]:
    """The part, or why there is none: a part's failure is told, and its recordings are then tried one by one."""
    try:
        return transcribe(items), ""
    except Exception as error:
        return b"", str(error) or type(error).__name__
