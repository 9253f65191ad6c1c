"""From speech in a store to a transcript by a registry whose artefacts are there too; nothing but a cache is here."""

import shutil
from pathlib import Path

import pytest
import soundfile
import tiny
import yaml

from steno.data.manifest import Manifest
from steno.storage import local, shown, write_bytes
from steno.storage.mirror import Mirror


@pytest.fixture
def speech(tones, tmp_path):
    """The tones in LibriSpeech's layout: two parts, each of one speaker; one recording is damaged."""
    root = tmp_path / "LibriSpeech"
    for part, speaker in (("train", "11"), ("dev", "22")):
        chapter = root / part / speaker / "1"
        chapter.mkdir(parents=True)
        lines = []
        for number, utterance in enumerate(Manifest(tones / f"{part}.jsonl")):
            samples, rate = soundfile.read(utterance.audio)
            soundfile.write(chapter / f"{speaker}-1-{number:04d}.flac", samples, rate)
            lines.append(f"{speaker}-1-{number:04d} {(utterance.text or '').upper()}\n")
        (chapter / f"{speaker}-1.trans.txt").write_text("".join(lines))
    (root / "train" / "11" / "1" / "11-1-0003.flac").write_bytes(b"damaged")
    return root


@pytest.fixture
def recipe(store, tmp_path):
    def write(**changes):
        data = {"train": shown(store.at("train.jsonl")), "dev": shown(store.at("dev.jsonl"))}
        training = {"epochs": 2, "checkpoint_seconds": 1000} | changes
        return tiny.write_recipe(tmp_path / "tiny.yaml", Path("none"), data=data, training=training)

    return write


def prepare(steno, store, part):
    return steno(
        *("data", "prepare", shown(store.at(f"LibriSpeech/{part}"))),
        *("--out", shown(store.at(f"{part}.jsonl")), "--alphabet", tiny.ALPHABET),
    )


def test_prepare_train_register_transcribe(store, steno, speech, recipe, tmp_path, monkeypatch):
    from steno.tracking import store as tracking_store

    store.put(speech, "LibriSpeech")
    shutil.rmtree(speech)

    # Prepare.
    ran = prepare(steno, store, "train")
    assert ran.code == 0, ran.err
    assert f"{store.root}/LibriSpeech/train/11/1/11-1.trans.txt:4: 11-1-0003" in ran.err
    assert f"wrote {store.root}/train.jsonl" in ran.out
    assert prepare(steno, store, "dev").code == 0
    train = Manifest(store.at("train.jsonl"))
    assert (len(train), train[0].speaker) == (23, "11")
    assert shown(train[0].audio) == f"{store.root}/LibriSpeech/train/11/1/11-1-0000.flac"
    first = local(store.at("train.jsonl")).read_text().splitlines()[0]
    assert '"audio_filepath":"LibriSpeech/train/11/1/11-1-0000.flac"' in first  # the folder can be moved

    # Train, with checkpoints and MLflow's artefacts there.
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = tracking_store.client(uri)
    client.create_experiment("Steno", artifact_location=f"{store.mlflow_root}/mlflow")
    run = shown(store.at("runs/tiny"))
    ran = steno("train", recipe(), "--to", run, "--register", "tones", "--uri", uri)
    assert ran.code == 0, ran.err
    assert f"model: {run}/model" in ran.out
    assert "registered as tones version 1" in ran.out
    names = Mirror(store.at("runs/tiny")).names()
    assert {"recipe.yaml", "checkpoints/last.safetensors", "model/config.yaml", "model/model.onnx"} <= names
    assert "tracking.json" in names

    # Transcribe, on another machine.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fresh"))
    recordings = shown(store.at("LibriSpeech/dev"))
    by_name = steno("transcribe", recordings, "--model", "models:/tones/1", "--uri", uri)
    assert by_name.code == 0, by_name.err
    assert by_name.out.count("\n") == 6
    by_place = steno("transcribe", recordings, "--model", f"{run}/model")
    assert by_place.out == by_name.out
    there = client.get_logged_model(client.search_model_versions("name='tones'")[0].source.rpartition("/")[2])
    assert there.artifact_location.startswith(f"{store.mlflow_root}/mlflow")
    assert not (tmp_path / "mlruns").exists()


def test_a_run_is_resumed_on_another_machine(store, steno, speech, recipe, tmp_path, monkeypatch):
    store.put(speech, "LibriSpeech")
    for part in ("train", "dev"):
        assert prepare(steno, store, part).code == 0
    whole = steno("train", recipe(epochs=3), "--to", tmp_path / "whole", "--no-track")
    assert whole.code == 0, whole.err

    # Stopped in the second epoch, here.
    from steno.training.interrupt import Interrupted
    from steno.training.trainer import Trainer

    run = shown(store.at("runs/cut"))
    validate = Trainer._validate

    def stop(self):
        if self.state.epoch == 1:
            self._save()
            raise Interrupted
        return validate(self)

    monkeypatch.setattr(Trainer, "_validate", stop)
    ran = steno("train", recipe(epochs=3), "--to", run, "--no-track")
    assert ran.code == 130
    assert f"--to {run} --resume" in ran.err
    monkeypatch.setattr(Trainer, "_validate", validate)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert "already a run" in steno("train", recipe(epochs=3), "--to", run, "--no-track").err
    ran = steno("train", recipe(epochs=3), "--to", run, "--no-track", "--resume-or-start")
    assert ran.code == 0, ran.err
    assert "resumed at epoch 2" in ran.out + ran.err
    mine, theirs = (
        yaml.safe_load(text)["files"]["model.safetensors"]
        for text in (
            (tmp_path / "whole" / "model" / "config.yaml").read_text(),
            local(f"{run}/model/config.yaml").read_text(),
        )
    )
    assert mine == theirs  # the weights are those of a run that was never stopped

    ran = steno("train", recipe(epochs=1), "--to", run, "--no-track", "--overwrite")
    assert ran.code == 0, ran.err
    assert "checkpoints/epoch-0003.safetensors" not in Mirror(Path(run)).names()


def test_a_folder_of_something_else_is_not_overwritten(s3, steno, recipe_of_tones):
    write_bytes(s3.at("data/precious.txt"), b"mine")
    ran = steno("train", recipe_of_tones, "--to", shown(s3.at("data")), "--no-track", "--overwrite")
    assert ran.code == 2
    assert "there is something else in this folder" in ran.err
    assert local(s3.at("data/precious.txt"), fresh=True).read_bytes() == b"mine"
    ran = steno("train", recipe_of_tones, "--to", shown(s3.at("none")), "--no-track", "--resume")
    assert ran.code == 2
    assert f"{s3.root}/none: there is no run to resume here" in ran.err


def test_recordings_that_cannot_be_had_cost_nobody_else(s3, steno, model, tones):
    one = next((tones / "dev").glob("*.wav"))
    write_bytes(s3.at("a.wav"), one.read_bytes())
    ran = steno("transcribe", shown(s3.at("a.wav")), shown(s3.at("none.wav")), "--model", model)
    assert ran.code == 1
    assert ran.out.count("\n") == 1
    assert f"{s3.root}/none.wav: no such object" in ran.err


def test_check_and_evaluate_read_there_too(s3, steno, speech, model):
    s3.put(speech, "LibriSpeech")
    assert prepare(steno, s3, "dev").code == 0
    dev = shown(s3.at("dev.jsonl"))
    ran = steno("data", "check", dev)
    assert ran.code == 0, ran.err
    assert "utterances │ 6" in ran.out
    ran = steno("evaluate", "--model", model, "--data", dev, "--no-log")
    assert ran.code == 0, ran.err
    assert "WER" in ran.out


def test_a_cut_while_training_costs_an_attempt(s3, steno, speech, tmp_path):
    s3.put(speech, "LibriSpeech")
    for part in ("train", "dev"):
        assert prepare(steno, s3, part).code == 0
    data = {"train": shown(s3.at("train.jsonl")), "dev": shown(s3.at("dev.jsonl"))}
    path = tiny.write_recipe(tmp_path / "tiny.yaml", Path("none"), data=data, training={"epochs": 1})
    shutil.rmtree(tmp_path / "cache")
    s3.proxy.cut(times=4, after=3000)
    ran = steno("train", path, "--to", shown(s3.at("run")), "--no-track")
    assert ran.code == 0, ran.err
    assert s3.proxy.cuts_made == 4
    assert "skipped" not in ran.out + ran.err


def test_a_store_that_is_away_is_one_message(s3, steno, recipe_of_tones, model, tmp_path):
    s3.proxy.cut(times=10**6, after=0)
    for arguments in (
        ("data", "prepare", shown(s3.at("corpus")), "--out", tmp_path / "x.jsonl"),
        ("data", "check", shown(s3.at("train.jsonl"))),
        ("train", recipe_of_tones, "--to", shown(s3.at("run")), "--no-track"),
        ("transcribe", shown(s3.at("a.wav")), "--model", shown(s3.at("model"))),
    ):
        ran = steno(*arguments)
        assert ran.code == 2
        assert f"error: {s3.root}/" in ran.err
        assert "tried 5 times" in ran.err
        assert "Traceback" not in ran.err


@pytest.fixture
def recipe_of_tones(tones, tmp_path):
    return tiny.write_recipe(tmp_path / "tiny.yaml", tones, training={"epochs": 1})
