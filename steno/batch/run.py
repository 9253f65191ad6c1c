"""One run of ``steno batch``: what is missing is transcribed, part by part, then the tables are written."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from steno import storage
from steno.batch import table
from steno.batch.merge import Counts, check_target, merge, parts_path
from steno.batch.parts import Parts, parts_at
from steno.batch.plan import PLAN, Plan, check_same
from steno.batch.source import Source
from steno.batch.tasks import Done, Engine, Task
from steno.errors import StenoError
from steno.storage import objects

Progress = Callable[[int, float], None]
"""Called with recordings, and seconds of audio where they are known, that were done."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to do: the source, where to, and what the plan has to say of the model."""

    source: Source
    out: Path
    plan: Plan
    nbest: int = 1

    def part_name(self, part: int) -> str:
        """The file of a part."""
        return f"part-{part:06d}.parquet"


def transcribe_all(job: Job, start: Callable[[], AbstractContextManager[Engine]], progress: Progress) -> Counts:
    """Do what an earlier run of the same job has not done, and write the tables.

    Args:
        job: what to do.
        start: makes the engine; not called where every part is there.
        progress: is told at once what was there already.

    Raises:
        StenoError: the table is there already, the parts are of another job, or something cannot be written.
    """
    check_target(job.out)
    parts = parts_at(parts_path(job.out))
    if objects.exists(job.out) and PLAN not in parts.names():
        raise StenoError(f"{storage.shown(job.out)}: is there already", "Name another file, or remove it.")
    with parts.held():
        there = parts.names()
        if PLAN in there:
            check_same(job.plan, parts.read(PLAN), parts.place)
        missing = []
        for part in range(job.source.parts):
            if job.part_name(part) in there:
                progress(job.source.size(part), job.source.seconds(part))
            else:
                missing.append(part)
        if missing:
            with start() as engine:
                if PLAN not in there:  # an engine that does not start binds the next run to nothing
                    parts.write(PLAN, job.plan.dump())
                _transcribe(job, parts, engine, missing, progress)
        counts = merge(parts, [job.part_name(part) for part in range(job.source.parts)], job.out, job.nbest)
        parts.remove()
    return counts


def _transcribe(job: Job, parts: Parts, engine: Engine, missing: list[int], progress: Progress) -> None:
    """Each missing part; where one does not succeed as a whole, its recordings one by one."""

    def keep(part: int, data: bytes) -> None:
        parts.write(job.part_name(part), data)
        progress(job.source.size(part), job.source.seconds(part))

    reasons: dict[int, str] = {}
    left = set(missing)
    for done in engine.run(Task(part, job.source.items(part)) for part in missing):
        if done.part is None:
            reasons[done.number] = done.reason
        else:
            keep(done.number, done.part)
            left.discard(done.number)
    if left:
        worked = len(left) < len(missing)
        for part, data in _one_by_one(job, engine, sorted(left), worked, reasons):
            keep(part, data)


def _one_by_one(
    job: Job, engine: Engine, left: list[int], worked: bool, reasons: dict[int, str]
) -> Iterator[tuple[int, bytes]]:
    """The parts that could not be done as a whole, with their failures as rows.

    Raises:
        StenoError: no recording at all can be transcribed, so it is not the recordings' fault.
    """
    items = [(part, item) for part in left for item in job.source.items(part)]
    found: dict[int, Done] = {}
    for done in engine.run(Task(number, [item]) for number, (_, item) in enumerate(items)):
        found[done.number] = done
        worked = worked or done.part is not None
    if not worked:
        reason = next((done.reason for done in found.values() if done.reason), next(iter(reasons.values()), ""))
        raise StenoError(
            f"no recording could be transcribed: {reason or 'the workers died'}",
            "Try one of them with steno transcribe.",
        )
    rows: dict[int, list[bytes]] = defaultdict(list)
    for number, (part, item) in enumerate(items):
        done = found.get(number, Done(number, None))
        rows[part].append(
            done.part
            or table.dump([table.failure(item, done.reason or "the process that transcribed it died")], job.nbest)
        )
    for part in left:
        yield part, table.together(rows[part])
