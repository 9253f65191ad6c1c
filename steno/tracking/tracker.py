"""A run's tracker: what the training calls. Everything goes to the spool first, see :mod:`steno.tracking.spool`."""

import json
import logging
import math
import os
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from steno.errors import StenoError, TrackingError
from steno.tracking import environment, store, system
from steno.tracking.logged_model import ARTIFACT_NAME
from steno.tracking.registry import check_name
from steno.tracking.sender import Sender
from steno.tracking.spool import Record, RunNote, Spool, read_note, write_atomically
from steno.tracking.version import ModelVersion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Status = Literal["FINISHED", "FAILED", "KILLED"]

# MLflow's limits (mlflow.utils.validation).
_KEY, _PARAM, _TAG, _DIGEST = 250, 6000, 8000, 36
_NOT_IN_KEYS = re.compile(r"[^\w\-. :/]")
_log = logging.getLogger("steno.tracking")


class RunLog(Protocol):
    """What a training needs of a tracker; :class:`Tracker` and :class:`NullTracker` have it."""

    @property
    def run_id(self) -> str: ...
    @property
    def run_url(self) -> str | None: ...
    def log_params(self, params: Mapping[str, Any]) -> None: ...
    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None: ...
    def log_tags(self, tags: Mapping[str, str]) -> None: ...
    def log_dataset(self, name: str, digest: str, source: str, context: str, profile: Mapping[str, Any]) -> None: ...
    def log_file(self, path: Path, artifact_path: str = "") -> None: ...
    def log_text(self, text: str, artifact_file: str) -> None: ...
    def log_figure(self, figure: "Figure", artifact_file: str) -> None: ...
    def log_table(self, rows: Sequence[Mapping[str, Any]], artifact_file: str) -> None: ...
    def log_model(
        self, folder: Path, *, registered_name: str | None, metrics: Mapping[str, float]
    ) -> ModelVersion | None: ...
    def close(self, status: Status = "FINISHED") -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class NullTracker:
    """Takes everything and keeps nothing: for the processes of a training that are not the first."""

    run_id = ""
    run_url: str | None = None

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Nothing."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Nothing."""

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Nothing."""

    def log_dataset(self, name: str, digest: str, source: str, context: str, profile: Mapping[str, Any]) -> None:
        """Nothing."""

    def log_file(self, path: Path, artifact_path: str = "") -> None:
        """Nothing."""

    def log_text(self, text: str, artifact_file: str) -> None:
        """Nothing."""

    def log_figure(self, figure: "Figure", artifact_file: str) -> None:
        """Nothing."""

    def log_table(self, rows: Sequence[Mapping[str, Any]], artifact_file: str) -> None:
        """Nothing."""

    def log_model(
        self, folder: Path, *, registered_name: str | None, metrics: Mapping[str, float]
    ) -> ModelVersion | None:
        """Nothing."""
        return None

    def close(self, status: Status = "FINISHED") -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Tracker:
    """One run in the store; make it with :meth:`start`.

    No method but :meth:`start` and :meth:`log_model` waits for the store, and none fails because of it.
    """

    def __init__(self, spool: Spool, *, system_metrics: bool = True) -> None:
        self.spool = spool
        self._points, self._system_step, self._last_step = _logged_before(spool)
        self._latest: dict[str, tuple[int, float, int]] = {}
        self._sender = Sender(spool)
        self._closed = False
        self._system: system.SystemMetrics | None = None
        if system_metrics and system.wanted():
            self._system = system.SystemMetrics(self._log_points, self._system_step, system.interval())

    @classmethod
    def start(
        cls,
        run_dir: Path,
        *,
        experiment: str,
        run_name: str | None = None,
        uri: str | None = None,
        tags: Mapping[str, str] | None = None,
        system_metrics: bool = True,
    ) -> Self:
        """Attach to a run, or make one.

        That is the run which ``mlflow run`` made (MLFLOW_RUN_ID), else the one that ``run_dir/tracking.json``
        notes, when the training is resumed against the same store, else a new one. A resumed run needs no
        answer from the store.

        Raises:
            TrackingError: the store does not answer, the experiment was deleted, or another process is
                logging the same run.
            MissingExtraError: mlflow is not installed.
        """
        uri = store.absolute(store.tracking_uri(uri))
        given = os.environ.get("MLFLOW_RUN_ID")
        before = read_note(run_dir / "tracking.json") if (run_dir / "tracking.json").exists() else None
        own = dict(environment.tags(Path.cwd())) | dict(tags or {})
        resumed = before is not None and before.uri == uri and given in (None, "", before.run_id)
        if before is not None and not resumed:
            own["steno.resumed_from"] = before.run_id
        if resumed:
            assert before is not None
            store.configure(uri)
            note = before
        else:
            note, own = _open_run(uri, given, experiment, run_name, own)
        spool = Spool(run_dir / "tracking" / note.run_id, note)
        write_atomically(run_dir / "tracking.json", (spool.folder / "run.json").read_text(encoding="utf-8"))
        tracker = cls(spool, system_metrics=system_metrics)
        if resumed:
            tracker._add({"kind": "status", "status": "RUNNING", "time": _now()})
        tracker.log_tags(own)
        return tracker

    @property
    def run_id(self) -> str:
        """The run's id in MLflow."""
        return self.spool.note.run_id

    @property
    def run_url(self) -> str | None:
        """The run's page on a tracking server; None for an embedded store."""
        note = self.spool.note
        if not note.uri.startswith(("http://", "https://")):
            return None
        return f"{note.uri}/#/experiments/{note.experiment_id}/runs/{note.run_id}"

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters.

        MLflow never changes one: another value of a key that is there (a resumed run with another recipe)
        becomes the tag ``steno.param.KEY``. A value over MLflow's limit is cut, and kept whole as the
        artefact ``params/KEY.txt``.
        """
        values: dict[str, str] = {}
        for key, value in params.items():
            text = str(value)
            name = _key(key)
            if len(text) > _PARAM:
                self.log_text(text, f"params/{name.replace('/', '_')}.txt")
                text = text[: _PARAM - 1] + "…"
            values[name] = text
        for chunk in _chunks(values, 50):
            self._add({"kind": "params", "values": chunk})

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metric points with the time of now.

        Values that are not finite become NaN, which MLflow shows as such; it would turn infinity into 1.8e308.
        A point that a resumed training makes again, with the same value, is not logged again.
        """
        fresh = {key: value for key, value in metrics.items() if self._points.get((_key(key), step)) != _finite(value)}
        self._last_step = max(self._last_step, step)
        if fresh:
            self._log_points(fresh, step)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        values = {_key(key): str(value)[:_TAG] for key, value in tags.items()}
        for chunk in _chunks(values, 50):
            self._add({"kind": "tags", "values": chunk})

    def log_dataset(self, name: str, digest: str, source: str, context: str, profile: Mapping[str, Any]) -> None:
        """Log a dataset as an input of the run.

        Args:
            name: its name, such as the manifest's.
            digest: tells it from another of that name.
            source: where it lies.
            context: what it was for: ``training``, ``validation``, ``test``.
            profile: figures about it, such as utterances and hours.
        """
        self._add(
            {
                "kind": "dataset",
                "name": name[:500],
                "digest": digest[:_DIGEST],
                "source": source,
                "context": context,
                "profile": dict(profile),
            }
        )

    def log_file(self, path: Path, artifact_path: str = "") -> None:
        """Log a copy of a file as it is now, under a folder of the run's artefacts.

        Raises:
            TrackingError: the file cannot be read.
        """
        try:
            kept = self.spool.keep_file(path)
        except OSError as error:
            raise TrackingError(f"{path}: cannot be logged ({error.strerror or error})") from error
        self._add_file(kept, artifact_path)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Log a text as an artefact of that path."""
        kept = self.spool.new_file(Path(artifact_file).name)
        kept.write_text(text, encoding="utf-8")
        self._add_file(kept, _parent(artifact_file))

    def log_figure(self, figure: "Figure", artifact_file: str) -> None:
        """Log a matplotlib figure; the path's ending is its format."""
        kept = self.spool.new_file(Path(artifact_file).name)
        figure.savefig(kept, dpi=120, bbox_inches="tight")
        self._add_file(kept, _parent(artifact_file))

    def log_table(self, rows: Sequence[Mapping[str, Any]], artifact_file: str) -> None:
        """Log rows as a table that MLflow's page shows; the path ends in ``.json``.

        The same path again replaces the table.
        """
        columns = list(dict.fromkeys(key for row in rows for key in row))
        table = {"columns": columns, "data": [[row.get(column) for column in columns] for row in rows]}
        kept = self.spool.new_file(Path(artifact_file).name)
        kept.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
        self._add_file(kept, _parent(artifact_file), table=True)

    def log_model(
        self,
        folder: Path,
        *,
        registered_name: str | None,
        metrics: Mapping[str, float],
        patience: float = 600.0,
    ) -> ModelVersion | None:
        """Log the model folder as a pyfunc, and register it.

        Args:
            folder: a model folder.
            registered_name: name in the registry; None only logs.
            metrics: what was measured of it; shown with the version.
            patience: longest time in seconds to wait for the upload. An unreachable store is not waited for.

        Returns:
            The version; None if it is not to be registered, or the store has not taken it yet. It is then
            in the spool and registered when the store is back, or by ``steno track sync``.

        Raises:
            TrackingError: the folder cannot be read, or the name cannot be a model's.
        """
        if registered_name is not None:
            check_name(registered_name)
        try:
            kept = self.spool.keep_file(folder, name=ARTIFACT_NAME)
        except OSError as error:
            raise TrackingError(f"{folder}: cannot be logged ({error})") from error
        token = uuid.uuid4().hex
        found = {_key(key): float(value) for key, value in metrics.items() if math.isfinite(value)}
        position = self._add(
            {
                "kind": "model",
                "id": token,
                "file": str(kept.relative_to(self.spool.folder)),
                "registered_name": registered_name,
                "metrics": found,
                "times": {key: self._time_of(key, value) for key, value in found.items()},
                "step": self._last_step,
            }
        )
        if not self._sender.wait_for(position, patience):
            _log.warning("the model is not registered yet: %s", self._sender.reason or "the store is slow")
            return None
        return self._sender.version(token)

    def close(self, status: Status = "FINISHED", patience: float = 60.0) -> None:
        """End the run and send what is left, for as long as the store takes it.

        Args:
            status: how the run ended.
            patience: longest time in seconds without progress. What is left then is named, with the command
                that sends it later.
        """
        if self._closed:
            return
        self._closed = True
        if self._system is not None:
            self._system.close()
        self._add({"kind": "status", "status": status, "time": _now()})
        left = self._sender.close(patience)
        folder = self.spool.folder
        self.spool.close()
        if left:
            _log.warning(
                "%d records of run %s are not in %s yet; send them later with: steno track sync %s",
                *(left, self.run_id, self.spool.note.uri, folder.parent.parent),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.close("KILLED" if issubclass(kind, KeyboardInterrupt | SystemExit) else "FAILED")

    def _log_points(self, metrics: Mapping[str, float], step: int) -> None:
        values = {_key(key): _finite(value) for key, value in metrics.items()}
        now = _now()
        self._latest.update({key: (step, value, now) for key, value in values.items()})
        self._add({"kind": "metrics", "time": now, "step": step, "values": values})

    def _time_of(self, key: str, value: float) -> int:
        """When this point was logged, so that naming it again with the model does not make a second one."""
        step, logged, time_of = self._latest.get(key, (-1, math.nan, 0))
        return time_of if (step, logged) == (self._last_step, value) else _now()

    def _add_file(self, kept: Path, artifact_path: str, **more: Any) -> None:
        self._add(
            {
                "kind": "file",
                "file": str(kept.relative_to(self.spool.folder)),
                "to": artifact_path.strip("/"),
                **more,
            }
        )

    def _add(self, record: Record) -> int:
        position = self.spool.append(record)
        self._sender.notify()
        return position


def _open_run(
    uri: str, given: str | None, experiment: str, run_name: str | None, tags: dict[str, str]
) -> tuple[RunNote, dict[str, str]]:
    """The run that ``mlflow run`` made, or a new one; and the tags that it still lacks."""
    try:
        client = store.client(uri)
        if given:
            run = client.get_run(given)
            # `mlflow run` knows better where the code comes from.
            lacking = {key: value for key, value in tags.items() if key not in run.data.tags}
            if run_name:
                lacking["mlflow.runName"] = run_name
            return RunNote(given, uri, experiment, str(run.info.experiment_id)), lacking
        experiment_id = store.experiment_id(client, uri, experiment)
        run = client.create_run(experiment_id, run_name=run_name, tags={"mlflow.user": tags["mlflow.user"]})
        return RunNote(str(run.info.run_id), uri, experiment, experiment_id), tags
    except StenoError:
        raise
    except Exception as error:
        doing = f"attaching to the run {given} (MLFLOW_RUN_ID)" if given else f"starting a run in {experiment}"
        raise store.explain(error, uri, doing) from error


def _logged_before(spool: Spool) -> tuple[dict[tuple[str, int], float], int, int]:
    """Points that earlier processes of this run logged, the next system step, and the last training step."""
    points: dict[tuple[str, int], float] = {}
    system_step, last_step = 0, 0
    for _, record in spool.records():
        if record["kind"] != "metrics":
            continue
        step = record["step"]
        if any(key.startswith(system.PREFIX) for key in record["values"]):
            system_step = max(system_step, step + 1)
            continue
        last_step = max(last_step, step)
        points.update({(key, step): value for key, value in record["values"].items()})
    return points, system_step, last_step


def _finite(value: float) -> float:
    number = float(value)
    return number if math.isfinite(number) else math.nan


def _key(name: str) -> str:
    """A name in the letters and the length that MLflow takes."""
    return _NOT_IN_KEYS.sub("_", str(name))[:_KEY]


def _parent(artifact_file: str) -> str:
    parent = Path(artifact_file).parent
    return "" if parent == Path() else parent.as_posix()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _chunks(values: dict[str, str], size: int) -> list[dict[str, str]]:
    items = list(values.items())
    return [dict(items[start : start + size]) for start in range(0, len(items), size)]
