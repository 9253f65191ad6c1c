"""A tracker over the embedded store: what is logged, what a resumed run does, what waits for `sync`."""

import fcntl
import json
import math
import threading
from pathlib import Path

import pytest

from steno.errors import TrackingError
from steno.tracking import delivery, registry, store
from steno.tracking.sender import sync
from steno.tracking.tracker import NullTracker, RunLog, Tracker


def start(tmp_path, uri, **more):
    more.setdefault("system_metrics", False)
    return Tracker.start(tmp_path / "run", experiment="speech", uri=uri, **more)


def test_parameters_metrics_tags_and_files_arrive(tmp_path, embedded, client):
    picture = tmp_path / "plot.txt"
    picture.write_text("a curve")
    with start(tmp_path, embedded, run_name="first", tags={"recipe": "demo"}) as tracker:
        tracker.log_params({"optimizer.lr": 1e-3, "note": "n" * 9000, "odd?key": True})
        tracker.log_metrics({"loss": 2.0, "grad": math.inf}, step=7)
        tracker.log_file(picture, "plots")
        picture.write_text("changed later")
        tracker.log_text("recipe: demo\n", "recipe.yaml")
    run = client.get_run(tracker.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "first")
    assert run.data.params["optimizer.lr"] == "0.001"
    assert run.data.params["odd_key"] == "True"
    assert len(run.data.params["note"]) == 6000
    assert run.data.tags["recipe"] == "demo"
    assert run.data.tags["steno.python"]
    (point,) = client.get_metric_history(tracker.run_id, "loss")
    assert (point.value, point.step) == (2.0, 7)
    assert math.isnan(run.data.metrics["grad"])
    paths = {
        entry.path for folder in (None, "plots", "params") for entry in client.list_artifacts(tracker.run_id, folder)
    }
    assert {"plots/plot.txt", "params/note.txt", "recipe.yaml"} <= paths
    copy = client.download_artifacts(tracker.run_id, "plots/plot.txt", str(tmp_path))
    assert Path(copy).read_text() == "a curve"
    assert tracker.run_url is None


def test_tables_and_figures_show_in_the_page(tmp_path, embedded, client):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2, 3])
    with start(tmp_path, embedded) as tracker:
        tracker.log_figure(figure, "plots/loss.png")
        for predicted in ("yet", "yes"):
            tracker.log_table([{"id": "a", "predicted": predicted}, {"id": "b", "more": 1}], "examples/dev.json")
    table = json.loads(Path(client.download_artifacts(tracker.run_id, "examples/dev.json", str(tmp_path))).read_text())
    assert table == {"columns": ["id", "predicted", "more"], "data": [["a", "yes", None], ["b", None, 1]]}
    tags = client.get_run(tracker.run_id).data.tags
    assert json.loads(tags["mlflow.loggedArtifacts"]) == [{"path": "examples/dev.json", "type": "table"}]
    picture = client.download_artifacts(tracker.run_id, "plots/loss.png", str(tmp_path))
    assert Path(picture).read_bytes()[:4] == b"\x89PNG"


def test_a_resumed_run_goes_on_and_repeats_nothing(tmp_path, embedded, client):
    with start(tmp_path, embedded) as first:
        first.log_params({"lr": 0.001, "epochs": 3})
        first.log_metrics({"loss": 3.0}, 1)
        first.log_metrics({"loss": 2.0}, 2)
    with start(tmp_path, embedded) as second:
        second.log_params({"lr": "1e-3", "epochs": 5})
        second.log_metrics({"loss": 2.0}, 2)
        second.log_metrics({"loss": 1.0}, 3)
    assert second.run_id == first.run_id
    run = client.get_run(first.run_id)
    assert run.data.params == {"lr": "0.001", "epochs": "3"}
    assert run.data.tags["steno.param.epochs"] == "5"
    assert "steno.param.lr" not in run.data.tags
    points = client.get_metric_history(first.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert run.info.status == "FINISHED"


def test_the_run_of_mlflow_run_is_taken_with_its_parameters(tmp_path, embedded, client, monkeypatch):
    given = client.create_run(store.experiment_id(client, embedded, "speech"), tags={"mlflow.source.type": "PROJECT"})
    client.log_param(given.info.run_id, "epoch", "20")
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded)
    with start(tmp_path, None) as tracker:
        tracker.log_params({"epoch": 20, "batch": 32})
    run = client.get_run(given.info.run_id)
    assert tracker.run_id == given.info.run_id
    assert run.data.params == {"epoch": "20", "batch": "32"}
    assert run.data.tags["mlflow.source.type"] == "PROJECT"


def test_a_failed_training_says_so(tmp_path, embedded, client):
    with pytest.raises(ZeroDivisionError), start(tmp_path, embedded) as tracker:
        raise ZeroDivisionError
    assert client.get_run(tracker.run_id).info.status == "FAILED"


def test_two_trainings_cannot_share_a_folder(tmp_path, embedded):
    with start(tmp_path, embedded), pytest.raises(TrackingError, match="another process"):
        start(tmp_path, embedded)


def test_a_deleted_experiment_is_a_clear_error(tmp_path, embedded, client):
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(TrackingError, match="was deleted") as caught:
        Tracker.start(tmp_path / "run", experiment="gone", uri=embedded)
    assert "mlflow experiments restore" in caught.value.hint


def test_system_metrics_have_mlflows_names_and_go_on_counting(tmp_path, embedded, client, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    steps = []
    for _ in range(2):
        with start(tmp_path, embedded, system_metrics=True) as tracker:
            before = tracker.spool.end
            while tracker.spool.end == before:
                pass
        history = client.get_metric_history(tracker.run_id, "system/system_memory_usage_percentage")
        steps.append([point.step for point in history])
    assert steps[0] == list(range(len(steps[0])))
    assert steps[1] == list(range(len(steps[1])))
    assert len(steps[1]) > len(steps[0]) > 0


def test_what_a_closed_run_could_not_send_is_sent_by_sync(
    tmp_path, embedded, client, model_folder, monkeypatch, caplog
):
    tracker = start(tmp_path, embedded)
    real = store.client

    def away(uri):
        raise ConnectionError("Connection refused")

    with monkeypatch.context() as outage:
        outage.setattr(delivery.Delivery, "send", lambda *_: away(""))
        tracker.log_metrics({"loss": 2.0}, 1)
        assert tracker.log_model(model_folder, registered_name="Later", metrics={"wer": 0.25}) is None
        tracker.close(patience=5)
    assert f"steno track sync {tmp_path / 'run'}" in caplog.text
    with monkeypatch.context() as outage:
        outage.setattr(store, "client", away)
        with pytest.raises(TrackingError, match="cannot be reached"):
            sync(tmp_path / "run")
    assert store.client is real

    (done,) = sync(tmp_path / "run")
    assert (done.run_id, done.refused) == (tracker.run_id, 0)
    assert done.records >= 3  # a metric, the model and the end; what came before may have been sent in time
    (again,) = sync(tmp_path / "run")
    assert again.records == 0
    assert not list((tracker.spool.folder / "files").glob("*"))
    (point,) = client.get_metric_history(tracker.run_id, "loss")
    assert (point.value, point.step) == (2.0, 1)
    assert [(v.version, v.wer, v.run_id) for v in registry.show("Later", embedded)] == [(1, 0.25, tracker.run_id)]


def test_sending_everything_twice_changes_nothing(tmp_path, embedded, client, model_folder, monkeypatch):
    # A crash between sending and noting it does this; the copies of files are still there then.
    from steno.tracking.spool import Spool

    monkeypatch.setattr(Spool, "drop_files", lambda *_: None)
    with start(tmp_path, embedded) as tracker:
        tracker.log_params({"epochs": 3})
        tracker.log_metrics({"loss": 2.0, "bad": math.nan, "wer": 0.5}, 1)
        tracker.log_table([{"id": "a"}], "examples.json")
        tracker.log_dataset("train", "0123", "train.jsonl", "training", {"hours": 1.0})
        version = tracker.log_model(model_folder, registered_name="Twice", metrics={"wer": 0.5})
    assert version is not None
    before = client.get_run(tracker.run_id).to_dictionary()
    (tracker.spool.folder / "sent").unlink()
    (done,) = sync(tmp_path / "run")
    assert (done.records > 5, done.refused) == (True, 0)
    after = client.get_run(tracker.run_id).to_dictionary()
    assert json.dumps(after, default=str) == json.dumps(before, default=str)
    assert [len(client.get_metric_history(tracker.run_id, key)) for key in ("loss", "bad", "wer")] == [1, 1, 1]
    assert [found.version for found in registry.show("Twice", embedded)] == [version.version]


def test_a_record_that_the_store_refuses_is_set_aside_and_the_rest_arrives(tmp_path, embedded, client):
    with start(tmp_path, embedded) as tracker:
        tracker.spool.append({"kind": "metrics", "time": 1, "step": 1, "values": {"": 1.0}})
        tracker.log_metrics({"loss": 1.0}, 1)
    assert client.get_run(tracker.run_id).data.metrics == {"loss": 1.0}
    refused = json.loads((tracker.spool.folder / "refused.jsonl").read_text())
    assert refused["record"]["values"] == {"": 1.0}
    assert refused["reason"]


def test_the_other_processes_of_a_training_log_nothing(tmp_path, model_folder):
    tracker: RunLog = NullTracker()
    tracker.log_metrics({"loss": 1.0}, 1)
    assert tracker.log_model(model_folder, registered_name="M", metrics={}) is None
    tracker.close()


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "sqlite:x.db"])
def test_an_address_that_mlflow_does_not_take(uri):
    with pytest.raises(TrackingError, match="not the address"):
        store.tracking_uri(uri)


def test_the_order_of_store_addresses(monkeypatch):
    assert store.tracking_uri() == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000/")
    assert store.tracking_uri() == "http://tracking:5000"
    assert store.tracking_uri("sqlite:///mine.db") == "sqlite:///mine.db"


def test_one_process_at_a_time_opens_an_embedded_store(embedded):
    path = store.sqlite_path(embedded)
    assert path is not None
    opened = threading.Thread(target=store.client, args=[embedded], daemon=True)
    with path.with_name(path.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        opened.start()
        opened.join(timeout=0.5)
        assert opened.is_alive()
    opened.join(timeout=30)
    assert not opened.is_alive()
