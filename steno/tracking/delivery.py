"""From spooled records to MLflow, so that sending the same record twice leaves the same run.

Metric points carry the time at which they were made, and MLflow keeps one point for equal key, step, time and
value; parameters, tags, inputs and artefacts are set by name; a model carries the record's own id as a tag
and is looked for before it is logged.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steno.tracking import logged_model
from steno.tracking.spool import Record, Spool
from steno.tracking.version import ModelVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's limits for one request and one value (mlflow.utils.validation).
_METRICS_A_BATCH = 1000
_OTHERS_A_BATCH = 100
_REFUSALS = frozenset({"INVALID_PARAMETER_VALUE"})
_TABLES_TAG = "mlflow.loggedArtifacts"


class Refused(Exception):
    """The store will never take this record, however often it is sent."""


@dataclass(slots=True)
class Delivery:
    """Sends records of one run; ``versions`` collects the model versions that were made, by record id."""

    client: "MlflowClient"
    spool: Spool
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    _params: dict[str, str] | None = None

    @property
    def run_id(self) -> str:
        return self.spool.note.run_id

    def send(self, records: Sequence[Record]) -> None:
        """Deliver records of one kind, as :func:`batches` groups them.

        Raises:
            Refused: the store will never take them.
            Exception: whatever an unreachable store raises; the records should be sent again later.
        """
        kind = records[0]["kind"]
        try:
            getattr(self, f"_send_{kind}")(records)
        except Exception as error:
            if _is_refusal(error):
                raise Refused(str(error)) from error
            raise

    def _send_metrics(self, records: Sequence[Record]) -> None:
        from mlflow.entities import Metric

        points = [
            Metric(key, value, record["time"], record["step"])
            for record in records
            for key, value in record["values"].items()
        ]
        for start in range(0, len(points), _METRICS_A_BATCH):
            self.client.log_batch(self.run_id, metrics=points[start : start + _METRICS_A_BATCH])

    def _send_params(self, records: Sequence[Record]) -> None:
        from mlflow.entities import Param, RunTag

        if self._params is None:
            self._params = dict(self.client.get_run(self.run_id).data.params)
        new: dict[str, str] = {}
        changed: dict[str, str] = {}
        for record in records:
            for key, value in record["values"].items():
                known = self._params.get(key, new.get(key))
                if known is None:
                    new[key] = value
                elif not same_value(known, value):
                    # MLflow never changes a parameter; a resumed run may well have another learning rate.
                    changed[f"steno.param.{key}"] = value
        for chunk in _chunks(list(new.items()), _OTHERS_A_BATCH):
            self.client.log_batch(self.run_id, params=[Param(key, value) for key, value in chunk])
            self._params.update(chunk)
        for chunk in _chunks(list(changed.items()), _OTHERS_A_BATCH):
            self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in chunk])

    def _send_tags(self, records: Sequence[Record]) -> None:
        from mlflow.entities import RunTag

        tags = {key: value for record in records for key, value in record["values"].items()}
        for chunk in _chunks(list(tags.items()), _OTHERS_A_BATCH):
            self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in chunk])

    def _send_dataset(self, records: Sequence[Record]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        for record in records:
            dataset = Dataset(
                name=record["name"],
                digest=record["digest"],
                source_type="local",
                source=json.dumps({"uri": record["source"]}),
                profile=json.dumps(record["profile"]),
            )
            tags = [InputTag("mlflow.data.context", record["context"])]
            self.client.log_inputs(self.run_id, datasets=[DatasetInput(dataset, tags)])

    def _send_file(self, records: Sequence[Record]) -> None:
        for record in records:
            self.client.log_artifact(self.run_id, str(self._kept(record)), record["to"] or None)
            if record.get("table"):
                self._show_table(record)

    def _send_model(self, records: Sequence[Record]) -> None:
        for record in records:
            version = logged_model.log_once(
                self.client,
                self._kept(record),
                token=record["id"],
                experiment_id=self.spool.note.experiment_id,
                run_id=self.run_id,
                registered_name=record["registered_name"],
                metrics=record["metrics"],
                times=record["times"],
                step=record["step"],
            )
            if version is not None:
                self.versions[record["id"]] = version

    def _send_status(self, records: Sequence[Record]) -> None:
        for record in records:
            if record["status"] == "RUNNING":
                self.client.update_run(self.run_id, status="RUNNING")
            else:
                self.client.set_terminated(self.run_id, record["status"], end_time=record["time"])

    def _kept(self, record: Record) -> Path:
        path = self.spool.folder / record["file"]
        if not path.exists():
            raise Refused(f"{path}: the spooled copy is gone")
        return path

    def _show_table(self, record: Record) -> None:
        """Name the table in the tag by which MLflow's page finds tables."""
        path = "/".join(part for part in (record["to"], Path(record["file"]).name) if part)
        tags = self.client.get_run(self.run_id).data.tags
        tables = json.loads(tags.get(_TABLES_TAG, "[]"))
        if (entry := {"path": path, "type": "table"}) not in tables:
            self.client.set_tag(self.run_id, _TABLES_TAG, json.dumps([*tables, entry]))


def batches(records: Iterable[tuple[int, Record]], limit: int = 200) -> Iterator[tuple[int, list[Record]]]:
    """Group neighbours of the same kind, with the position behind each group; files and models go alone."""
    group: list[Record] = []
    behind = 0
    for position, record in records:
        if group and (record["kind"] != group[0]["kind"] or len(group) >= limit or "file" in record):
            yield behind, group
            group = []
        group.append(record)
        behind = position
    if group:
        yield behind, group


def same_value(one: str, other: str) -> bool:
    """Whether two spellings say the same, as ``1e-3`` and ``0.001`` do."""
    if one == other:
        return True
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-12, abs_tol=0.0)
    except ValueError:
        return one.lower() == other.lower() and one.lower() in ("true", "false", "none")


def _is_refusal(error: Exception) -> bool:
    """Everything else is taken for an outage: a store that is restored or allows again gets the record."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, MlflowException):
        return error.error_code in _REFUSALS
    return not isinstance(error, requests.RequestException | OSError | SQLAlchemyError)


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
