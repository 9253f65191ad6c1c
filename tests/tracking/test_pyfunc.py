"""The logged model: every kind of input, through MLflow's own loading, schema and scoring server."""

import base64
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from steno import audio
from steno.decoding.transcript import Transcript
from steno.tracking import registry


class Counter:
    """Stands for the recogniser: its text is the number of samples it was given."""

    sample_rate = audio.SAMPLE_RATE

    def __init__(self, folder):
        assert (Path(folder) / "config.yaml").is_file()

    def emissions(self, audios):
        return [len(one) for one in audios]

    def decode(self, emission, offset=0.0):
        return Transcript(str(emission))


@pytest.fixture(scope="module")
def wav():
    out = io.BytesIO()
    soundfile.write(out, np.linspace(-0.5, 0.5, 1600, dtype=np.float32), audio.SAMPLE_RATE, format="WAV")
    return out.getvalue()


@pytest.fixture(scope="module")
def kept(embedded, tmp_path_factory):
    """What the store has of a model. Not to be loaded from there: Python would leave bytecode in it."""
    folder = tmp_path_factory.mktemp("pyfunc") / "any-name"
    folder.mkdir()
    (folder / "config.yaml").write_text("name: tiny\n")
    registry.register(folder, "Pyfunc", {}, embedded)
    return registry.resolve("models:/Pyfunc/1", embedded).parents[1]


@pytest.fixture(scope="module")
def logged(kept, tmp_path_factory):
    return Path(shutil.copytree(kept, tmp_path_factory.mktemp("logged") / "model"))


@pytest.fixture
def model(logged, monkeypatch):
    import mlflow

    monkeypatch.setattr("steno.runtime.Recognizer", Counter)
    return mlflow.pyfunc.load_model(str(logged))


def texts(rows):
    return [row["text"] for row in rows]


def test_every_kind_of_input(model, wav, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav)
    encoded = base64.b64encode(wav).decode()
    samples = np.zeros(1600, dtype=np.float32)
    for given in (
        [wav, wav],
        [str(path), str(path)],
        [path, path],
        [encoded, encoded],
        pd.DataFrame({"audio": [wav, wav]}),
        pd.DataFrame({"audio": [samples, samples]}),
        pd.DataFrame({"file": [str(path)] * 2}),
        {"audio": [wav, encoded]},
    ):
        assert texts(model.predict(given)) == ["1600", "1600"]
    assert texts(model.predict(wav)) == ["1600"]
    assert texts(model.unwrap_python_model().predict(None, samples)) == ["1600"]
    assert texts(model.unwrap_python_model().predict(None, [samples, wav])) == ["1600", "1600"]


def test_a_recording_comes_at_the_rate_of_the_model(model, wav, monkeypatch):
    monkeypatch.setattr(Counter, "sample_rate", 8000)
    assert texts(model.predict([wav])) == ["800"]


def test_a_recording_that_fails_leaves_the_others_alone(model, wav, tmp_path):
    rows = model.predict([wav, b"not audio", str(tmp_path / "missing.wav"), wav])
    assert texts(rows) == ["1600", None, None, "1600"]
    assert [bool(row["error"]) for row in rows] == [False, True, True, False]
    assert "missing.wav" in rows[2]["error"]


def test_a_long_recording_is_cut_as_on_the_command_line(model):
    hum = 0.1 * np.sin(np.arange(12 * audio.SAMPLE_RATE) / 20)
    pause = np.zeros(6 * audio.SAMPLE_RATE)
    long = np.concatenate([hum, pause, hum, pause, hum]).astype(np.float32)
    (text,) = texts(model.unwrap_python_model().predict(None, [long]))
    pieces = [int(piece) for piece in text.split()]
    assert len(pieces) > 1
    assert max(pieces) <= 35 * audio.SAMPLE_RATE


@pytest.mark.parametrize("form", ["inputs", "instances", "dataframe_split", "dataframe_records"])
def test_every_form_of_json(model, wav, form, tmp_path, monkeypatch):
    from mlflow.pyfunc import scoring_server

    (tmp_path / "secret.wav").write_bytes(wav)
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    values = [base64.b64encode(wav).decode(), str(tmp_path / "secret.wav")]
    body = {
        "inputs": values,
        "instances": values,
        "dataframe_split": {"columns": ["audio"], "data": [[value] for value in values]},
        "dataframe_records": [{"audio": value} for value in values],
    }[form]
    if form.startswith("dataframe"):  # MLflow decodes base64 itself there, and takes no paths
        body = {"columns": ["audio"], "data": [[values[0]]]} if form == "dataframe_split" else body[:1]
    answer = scoring_server.invocations(
        json.dumps({form: body}), "application/json", model, model.metadata.get_input_schema()
    )
    rows = json.loads(answer.response)["predictions"]
    assert rows[0] == {"text": "1600", "error": None}
    if len(body) == 2 and not form.startswith("dataframe"):
        assert rows[1]["text"] is None  # a client cannot name files of the server


def test_it_holds_its_code_and_light_requirements(kept):
    assert (kept / "code" / "steno" / "runtime" / "recognizer.py").is_file()
    assert not list(kept.rglob("__pycache__"))
    needed = (kept / "requirements.txt").read_text()
    assert "onnxruntime==" in needed
    assert "torch" not in needed
    assert (kept / "artifacts" / "model" / "config.yaml").is_file()


def test_it_brings_its_own_package(logged, tmp_path):
    """In a process whose path has no Steno, the logged code is what loads."""
    script = (
        "import sys, mlflow\n"
        "sys.path = [entry for entry in sys.path if entry]\n"
        "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder).lower()]\n"
        "assert not any((__import__('pathlib').Path(entry) / 'steno').is_dir() for entry in sys.path)\n"
        "try: mlflow.pyfunc.load_model(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print(sys.modules['steno'].__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(logged)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    kind, where = done.stdout.split()
    assert kind == "ModelError"  # the stand-in of a model folder is found, and is no model
    assert Path(where).is_relative_to(logged)
