"""Evaluations as runs in MLflow: figures, tables and the report, linked to the model that was measured."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steno.evaluation.analysis import Analysis
from steno.evaluation.measure import Evaluation, Measured
from steno.storage import absolute, shown
from steno.tracking import environment, lookup, store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

EXPERIMENT = "evaluations"
_ROWS = 500
"""Utterances in the table of a run; its JSON and its report have more."""


@dataclass(frozen=True)
class RunRecord:
    """What a run of an evaluation holds; ``models`` are the ids of the logged models that were measured."""

    name: str
    data: Evaluation
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    table: Mapping[str, Sequence[Any]]
    json: tuple[str, Mapping[str, Any]]
    report: tuple[str, str]
    models: Sequence[str] = field(default_factory=tuple)


def log_evaluation(analysis: Analysis, html: str, model: str, uri: str | None = None) -> str:
    """Log an evaluation and its report.

    A model that is kept in the same store shows the figures on its own page, too.

    Returns:
        The run's id.

    Raises:
        TrackingError: the store does not answer.
    """
    evaluation = analysis.evaluation
    address = store.tracking_uri(uri)
    store.prepare()
    with lookup.explained(address, f"logging the evaluation of {model}"):
        client = store.client(address)
        located = lookup.locate(client, model) if lookup.is_reference(model) else None
        tags = {"steno.kind": "evaluation", "steno.model": model}
        if located and located.name:
            tags |= {"steno.model_name": located.name, "steno.model_version": str(located.version)}
        return log_run(
            client,
            address,
            RunRecord(
                name=f"evaluate {model.removeprefix('models:/')}",
                data=evaluation,
                params={"model": model, **data_params(evaluation)},
                metrics=analysis.metrics(),
                tags=tags,
                table=_table(analysis.worst[:_ROWS]),
                json=("evaluation.json", analysis.to_dict()),
                report=("evaluation.html", html),
                models=[located.model_id] if located and located.model_id else [],
            ),
        )


def log_parity(
    reference: Evaluation, metrics: Mapping[str, float], found: Mapping[str, Any], table: str, uri: str | None = None
) -> str:
    """Log a parity report: figures of each form, all of it as JSON, and the table.

    Returns:
        The run's id.

    Raises:
        TrackingError: the store does not answer.
    """
    address, model = store.tracking_uri(uri), reference.model
    store.prepare()
    with lookup.explained(address, f"logging the parity report of {model}"):
        client = store.client(address)
        located = lookup.locate(client, model) if lookup.is_reference(model) else None
        return log_run(
            client,
            address,
            RunRecord(
                name=f"parity {Path(model).name if located is None else model.removeprefix('models:/')}",
                data=reference,
                params={"model": model, **data_params(reference)},
                metrics=metrics,
                tags={"steno.kind": "parity", "steno.model": model},
                table={},
                json=("parity.json", found),
                report=("parity.md", table),
                models=[located.model_id] if located and located.model_id else [],
            ),
        )


def log_run(client: "MlflowClient", uri: str, record: RunRecord) -> str:
    """Write a whole run of the experiment ``evaluations``; a run that cannot be written whole is marked failed."""
    from mlflow.entities import LoggedModelInput, Metric, Param, RunTag

    tags = environment.tags(Path.cwd()) | dict(record.tags)
    run_id = str(
        client.create_run(store.experiment_id(client, uri, EXPERIMENT), run_name=record.name, tags=tags).info.run_id
    )
    with _ended(client, run_id), tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        models = [LoggedModelInput(model_id) for model_id in record.models]
        client.log_inputs(run_id, datasets=[_dataset(record.data)], models=models)
        now = time.time_ns() // 1_000_000
        # A metric that names the model shows on the model's own page; of two models it would belong to neither.
        model_id = record.models[0] if len(record.models) == 1 else None
        dataset = {"dataset_name": record.data.data.stem, "dataset_digest": record.data.digest}
        metrics = [Metric(key, value, now, 0, model_id=model_id, **dataset) for key, value in record.metrics.items()]
        params = [Param(key, str(value)) for key, value in record.params.items()]
        client.log_batch(run_id, metrics=metrics, params=params, tags=[RunTag("steno.digest", record.data.digest)])
        client.log_dict(run_id, dict(record.json[1]), record.json[0])
        if record.table:
            client.log_table(run_id, {key: list(column) for key, column in record.table.items()}, "predictions.json")
        page = Path(scratch, record.report[0])
        page.write_text(record.report[1], encoding="utf-8")
        client.log_artifact(run_id, str(page))
    return run_id


def data_params(evaluation: Evaluation) -> dict[str, Any]:
    """What was measured on, and how texts were compared, as parameters of a run."""
    return {
        "data": shown(absolute(evaluation.data)),
        "digest": evaluation.digest,
        "utterances": len(evaluation.measured),
        "left_out": len(evaluation.left_out),
        "normalization": evaluation.normalization.name,
        "decoding": evaluation.decoding,
    }


def _dataset(evaluation: Evaluation) -> "DatasetInput":
    import json

    from mlflow.entities import Dataset, DatasetInput, InputTag

    profile = {
        "utterances": len(evaluation.measured),
        "hours": round(evaluation.audio_seconds / 3600, 3),
    }
    dataset = Dataset(
        name=evaluation.data.stem[:500],
        digest=evaluation.digest,
        source_type="local",
        source=json.dumps({"uri": shown(absolute(evaluation.data))}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "evaluation")])


def _table(measured: Sequence[Measured]) -> dict[str, list[Any]]:
    if not measured:
        return {}
    return {
        "id": [one.scored.id for one in measured],
        "target": [one.scored.reference for one in measured],
        "predicted": [one.scored.hypothesis for one in measured],
        "wer": [round(one.scored.words.rate, 4) for one in measured],
    }


@contextmanager
def _ended(client: "MlflowClient", run_id: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")
