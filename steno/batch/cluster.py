"""Ray: a cluster of this machine alone, or one that is there; actors that hold recognisers; parts through Ray Data."""

import logging
import os
import time
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import orjson

from steno.batch.source import Item
from steno.batch.tasks import RETRIES, Done, Task, tried
from steno.batch.worker import Model, Transcriber, as_rows, packed
from steno.cores import usable_cores
from steno.errors import StenoError

LOCAL = "local"

_STARTS = 3
_STORE_BYTES = 256 * 1024 * 1024


class RayEngine:
    """Transcribes tasks on actors of a cluster that is connected.

    Args:
        model: sent to every actor.
        name: what the table calls it.
        actors: how many; each takes one core.
    """

    def __init__(self, model: Model, name: str, actors: int) -> None:
        self._model, self._name, self._actors = model, name, actors

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Tasks as they are done, in no order. One whose actor dies again and again is left out.

        Raises:
            StenoError: an actor cannot start, or Ray fails.
        """
        import ray

        rows = [{"number": task.number, "items": _pack(task.items)} for task in tasks]
        if not rows:
            return
        with warnings.catch_warnings():
            # Ray 2.60 wants named parameters, and has none yet for these two.
            warnings.simplefilter("ignore", DeprecationWarning)
            dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                cast("Any", _Actor),
                fn_constructor_args=(self._model, self._name),
                compute=ray.data.ActorPoolStrategy(size=min(self._actors, len(rows)), max_tasks_in_flight_per_actor=1),
                num_cpus=1,
                max_restarts=-1,
                max_task_retries=RETRIES,
            )
        try:
            for row in dataset.iter_rows():
                yield Done(row["number"], row["part"] or None, row["reason"])
        except (ray.exceptions.RayError, ray.exceptions.RaySystemError) as error:
            raise StenoError(
                f"Ray: {_last_line(error)}",
                "What was done is kept; the same command goes on. Is Steno, with its extra ray, on every node?",
            ) from error


class _Actor:
    """:class:`Transcriber` between rows of Ray Data."""

    def __init__(self, model: Model, name: str) -> None:
        self._transcriber = Transcriber(model, name)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        part, reason = tried(self._transcriber, _unpack(row["items"]))
        return {"number": row["number"], "part": part, "reason": reason}


def _pack(items: Iterable[Item]) -> bytes:
    return zlib.compress(orjson.dumps(as_rows(items)))


def _unpack(data: bytes) -> list[Item]:
    return [Item(**row) for row in orjson.loads(zlib.decompress(data))]


@contextmanager
def connected(model: Model, name: str, actors: int | None, address: str) -> Iterator[RayEngine]:
    """An engine on the cluster at ``address``; :data:`LOCAL` is a new one, reachable from this machine only.

    ``actors`` of None is one for each core.

    Raises:
        StenoError: the cluster does not start, or is not there.
        ModuleNotFoundError: without the extra ``ray``.
    """
    if address == LOCAL:
        cores = usable_cores()
        actors = actors or cores
        _start(actors)
    else:
        _connect(address)
        model = packed(model)
    import ray
    import ray.data

    _quieten()
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a task whose actor died is missing among the results, and so is found
    try:
        yield RayEngine(model, name, actors or _cores())
    finally:
        ray.shutdown()


def _start(actors: int) -> None:
    # Read when Ray is imported: neither reports of usage nor, on Linux, an address that others can reach.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    for attempt in range(1, _STARTS + 1):
        try:
            ray.init(
                # Without it Ray would join whatever cluster this machine belongs, or once belonged, to.
                address=LOCAL,
                num_cpus=actors,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # a busy machine lets Ray's own start run out of time, which is a bare Exception
            ray.shutdown()
            if attempt == _STARTS:
                raise StenoError(
                    f"Ray does not start: {_last_line(error)}",
                    "Look into /tmp/ray/session_latest/logs. A machine that is very busy needs another attempt.",
                ) from error
            time.sleep(attempt)
        else:
            return


def _connect(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises ConnectionError, ValueError, RuntimeError and others
        raise StenoError(
            f"{address}: no Ray cluster answers ({_last_line(error)})",
            "Give HOST:6379, ray://HOST:10001, or auto on a machine of the cluster.",
        ) from error


def _quieten() -> None:
    """Keep Ray Data's messages out of the terminal; its log has them."""
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)


def _cores() -> int:
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
