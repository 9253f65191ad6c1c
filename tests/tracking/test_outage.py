"""A tracking server that goes away in mid-run neither stops the training nor loses anything."""

import json
import time
import urllib.request

import pytest

from steno.errors import TrackingError
from steno.tracking import registry, store
from steno.tracking.tracker import Tracker


def logged_points(tracker):
    """Every metric point that the training made: (key, step, time, value)."""
    return {
        (key, record["step"], record["time"], value)
        for _, record in tracker.spool.records()
        if record["kind"] == "metrics"
        for key, value in record["values"].items()
    }


def stored_points(uri, run_id):
    client = store.client(uri)
    points = [
        (point.key, point.step, point.timestamp, point.value)
        for key in client.get_run(run_id).data.metrics
        for point in client.get_metric_history(run_id, key)
    ]
    assert len(points) == len(set(points))
    return set(points)


def arrived(tracker):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if tracker.spool.sent >= tracker.spool.end > 0:
            return
        time.sleep(0.05)
    raise AssertionError("nothing was sent")


def rest(uri, path):
    with urllib.request.urlopen(f"{uri}/{path}", timeout=10) as answer:
        return json.load(answer)


def test_a_server_killed_in_mid_run_gets_every_point_once_when_it_is_back(server, tmp_path, model_folder, caplog):
    tracker = Tracker.start(tmp_path / "run", experiment="outage", uri=server.uri, run_name="killed")
    for step in range(50):
        tracker.log_metrics({"train/loss": 1 / (step + 1)}, step)
    arrived(tracker)
    server.kill()
    for step in range(50, 100):
        tracker.log_metrics({"train/loss": 1 / (step + 1), "dev/wer": 0.5}, step)
    tracker.log_table([{"id": "a-1", "target": "yes", "predicted": "yet"}], "examples.json")
    tracker.log_text("epochs: 3\n", "recipe/recipe.yaml")
    tracker.log_dataset("train", "0123456789abcdef", "train.jsonl", "training", {"hours": 6.3})
    time.sleep(1.5)  # the outage is noticed, and system metrics come in
    assert tracker.log_model(model_folder, registered_name="Outage", metrics={"wer": 0.5}) is None
    assert "training goes on" in caplog.text
    assert tracker.spool.sent < tracker.spool.end
    server.start()
    tracker.close()
    assert "is back" in caplog.text
    assert "steno track sync" not in caplog.text

    run_id = tracker.run_id
    stored = stored_points(server.uri, run_id)
    assert logged_points(tracker) <= stored
    assert {key for key, *_ in stored - logged_points(tracker)} <= {"wer"}  # the model's own
    assert any(key == "system/cpu_utilization_percentage" for key, *_ in stored)

    run = rest(server.uri, f"api/2.0/mlflow/runs/get?run_id={run_id}")["run"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert run["info"]["status"] == "FINISHED"
    assert json.loads(tags["mlflow.loggedArtifacts"]) == [{"path": "examples.json", "type": "table"}]
    (dataset,) = run["inputs"]["dataset_inputs"]
    assert dataset["dataset"]["digest"] == "0123456789abcdef"
    assert dataset["tags"] == [{"key": "mlflow.data.context", "value": "training"}]
    listed = rest(server.uri, f"api/2.0/mlflow/artifacts/list?run_id={run_id}")["files"]
    assert [entry["path"] for entry in listed] == ["examples.json", "recipe"]
    assert tracker.run_url is not None
    assert tracker.run_url.startswith(server.uri)

    (version,) = registry.show("Outage", server.uri)
    assert (version.run_id, version.wer) == (run_id, 0.5)
    folder = registry.resolve("models:/Outage/1", server.uri)
    assert (folder / "model.onnx").read_bytes() == b"graph"


def test_a_remote_model_is_downloaded_once(server, tmp_path, model_folder, monkeypatch):
    registry.register(model_folder, "Remote", {"wer": 0.1}, server.uri)
    folder = registry.resolve("models:/Remote/latest", server.uri)
    assert folder.is_relative_to(tmp_path / "cache")

    def refuse(*_):
        raise AssertionError("downloaded again")

    monkeypatch.setattr(registry, "_download", refuse)
    assert registry.resolve("models:/Remote/1", server.uri) == folder


def test_no_server_at_the_start_is_a_clear_error(tmp_path):
    with pytest.raises(TrackingError, match="cannot be reached") as caught:
        Tracker.start(tmp_path / "run", experiment="speech", uri="http://127.0.0.1:9")
    assert "steno track" in caught.value.hint


def test_the_server_says_its_address_and_ends_with_its_children(server):
    assert server.printed[0].startswith(f"tracking server: {server.uri}")
    assert server.printed[1] == f"export MLFLOW_TRACKING_URI={server.uri}"
    assert server.stop() == 0
    assert len(server.processes) > 1
    assert not any(process.is_running() for process in server.processes)
