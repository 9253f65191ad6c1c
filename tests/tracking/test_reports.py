"""Evaluations in MLflow: what a run holds, and how it is tied to the model."""

import json
from pathlib import Path

import pytest
from mlflow.artifacts import download_artifacts

from steno.tracking import lookup, registry
from steno.tracking.reports import EXPERIMENT


@pytest.fixture(scope="module")
def registered(embedded, trained):
    return registry.register(trained[0] / "model", "Measured", {}, embedded)


def runs(client):
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], "tags.`steno.kind` = 'evaluation'") if experiment else []


def test_an_evaluation_of_a_registered_model_is_a_run(embedded, client, registered, steno, tones):
    ran = steno("evaluate", "--model", "models:/Measured/1", "--data", tones / "dev.jsonl", "--uri", embedded)
    assert ran.code == 0
    (run,) = runs(client)
    assert f"logged      run {run.info.run_id}" in ran.err
    assert (run.info.status, run.info.run_name) == ("FINISHED", "evaluate Measured/1")
    assert run.data.params["utterances"] == "6"
    assert run.data.params["normalization"] == "steno"
    assert run.data.params["decoding"] == "greedy"
    assert {"wer", "wer_low", "wer_high", "cer", "real_time_factor"} <= run.data.metrics.keys()
    assert run.data.tags["steno.model_version"] == "1"
    assert run.inputs.dataset_inputs[0].dataset.name == "dev"
    model_id = lookup.located_version(client, "Measured", 1).model_id
    inputs = client.get_run(run.info.run_id).inputs
    assert [entry.model_id for entry in inputs.model_inputs] == [model_id]
    on_model = {metric.key: metric for metric in client.get_logged_model(model_id).metrics}
    assert on_model["wer"].value == run.data.metrics["wer"]
    assert on_model["wer"].dataset_name == "dev"
    names = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert {"evaluation.html", "evaluation.json"} <= names
    kept = Path(download_artifacts(run_id=run.info.run_id, artifact_path="evaluation.json", tracking_uri=embedded))
    assert json.loads(kept.read_text())["wer"] == run.data.metrics["wer"]


def test_logging_is_a_choice(embedded, client, registered, steno, tones, trained):
    before = len(runs(client))
    data = ("--data", tones / "dev.jsonl", "--uri", embedded)
    assert steno("evaluate", "--model", "models:/Measured/1", *data, "--no-log").code == 0
    assert steno("evaluate", "--model", trained[0] / "model", *data).code == 0
    assert len(runs(client)) == before
    assert steno("evaluate", "--model", trained[0] / "model", *data, "--log", "--audio", "1").code == 0
    assert len(runs(client)) == before + 1
