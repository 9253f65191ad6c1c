"""The training of a neural language model as a run in MLflow."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steno.tracking import store
from steno.training.language_model import LanguageModelTraining

if TYPE_CHECKING:
    from mlflow import MlflowClient

OPTIONS = ("--alphabet", " abcd", "--pieces", 12, "--size", 64, "--layers", 1, "--batch", 4, "--epochs", 1)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("ab cd ba dc\ncd a b ab\n" * 500)
    return path


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    path = tmp_path / "dev.txt"
    path.write_text("ab cd ba dc\n" * 20)
    return path


def last_run(client: "MlflowClient") -> Any:
    experiment = client.get_experiment_by_name("language-models")
    return client.search_runs([experiment.experiment_id])[0]


def test_mlflow_gets_it_whole(
    steno: Callable[..., Any], text: Path, dev: Path, embedded: str, client: "MlflowClient", tmp_path: Path
) -> None:
    output = tmp_path / "neural.onnx"
    ran = steno("lm", "train", text, "-o", output, "--dev", dev, "--uri", embedded, *OPTIONS)
    assert ran.code == 0, ran.err
    run = last_run(client)
    assert run.info.run_id in ran.out
    assert (run.info.status, run.info.run_name) == ("FINISHED", "neural")
    assert {"words": "4000", "pieces": "12", "seed": "1"}.items() <= run.data.params.items()
    assert int(run.data.params["parameters"]) > 10_000
    curve = client.get_metric_history(run.info.run_id, "dev_perplexity")
    assert len(curve) >= 10
    assert curve[-1].value < curve[0].value
    assert f"{curve[-1].value:.2f} a word" in ran.out
    data = {(use.dataset.name, use.tags[0].value) for use in run.inputs.dataset_inputs}
    assert data == {("text.txt", "training"), ("dev.txt", "validation")}
    kept = client.download_artifacts(run.info.run_id, "neural.onnx", str(tmp_path / "kept"))
    assert Path(kept).read_bytes() == output.read_bytes()
    assert not output.with_name("neural.onnx.training").exists()


def test_a_run_that_is_stopped_goes_on(
    steno: Callable[..., Any],
    text: Path,
    embedded: str,
    client: "MlflowClient",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, output = tmp_path / "whole.onnx", tmp_path / "neural.onnx"
    assert steno("lm", "train", text, "-o", whole, "--no-track", *OPTIONS).code == 0
    fit = LanguageModelTraining.fit

    def interrupted(self: LanguageModelTraining, watch: Any, stopped: Callable[[], bool]) -> Any:
        def told(report: Any) -> None:
            watch(report)
            if report.step > report.steps / 2:
                os.kill(os.getpid(), signal.SIGINT)

        return fit(self, told, stopped)

    with monkeypatch.context() as patch:
        patch.setattr(LanguageModelTraining, "fit", interrupted)
        ran = steno("lm", "train", text, "-o", output, "--uri", embedded, *OPTIONS)
    assert ran.code == 130
    assert "--resume" in ran.err
    assert not output.exists()
    stopped = last_run(client)
    assert stopped.info.status == "KILLED"
    ran = steno("lm", "train", text, "-o", output, "--uri", embedded, "--resume", *OPTIONS)
    assert ran.code == 0, ran.err
    run = last_run(client)
    assert (run.info.run_id, run.info.status) == (stopped.info.run_id, "FINISHED")
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "perplexity_of_a_piece")]
    assert len(steps) == len(set(steps)) >= 10
    assert output.read_bytes() == whole.read_bytes()
    assert not output.with_name("neural.onnx.training").exists()


def test_what_a_store_did_not_take_stays(
    steno: Callable[..., Any],
    text: Path,
    server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("steno.tracking.tracker.Tracker.close.__defaults__", ("FINISHED", 0.5))
    fit = LanguageModelTraining.fit

    def cut_off(self: LanguageModelTraining, watch: Any, stopped: Callable[[], bool]) -> Any:
        server.kill()
        return fit(self, watch, stopped)

    output = tmp_path / "neural.onnx"
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModelTraining, "fit", cut_off)
        ran = steno("lm", "train", text, "-o", output, "--uri", server.uri, *OPTIONS)
    assert ran.code == 0, ran.err
    assert output.exists()
    folder = output.with_name("neural.onnx.training")
    assert f"steno track sync {folder}" in caplog.text
    server.start()
    ran = steno("track", "sync", folder)
    assert ran.code == 0, ran.err
    run = last_run(store.client(server.uri))
    assert run.info.status == "FINISHED"
    assert store.client(server.uri).list_artifacts(run.info.run_id)[0].path == "neural.onnx"
