"""The doctor: says what works, and what does not, without stopping at the first trouble."""

import importlib.metadata
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
from typer.testing import CliRunner

from steno import doctor
from steno.cli.app import app
from steno.doctor import Check, Diagnosis, Status, diagnose


def named(diagnosis: Diagnosis, name: str) -> Check:
    (found,) = (check for check in diagnosis.checks if check.name == name)
    return found


def store(diagnosis: Diagnosis) -> Check:
    (found,) = (check for check in diagnosis.checks if check.part == "store")
    return found


@pytest.fixture
def server() -> Iterator[str]:
    """A server that knows /version, as MLflow's does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/version" else 404)
            self.end_headers()
            self.wfile.write(b"3.17.2")

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_everything_of_the_base_is_tried_and_works_here() -> None:
    diagnosis = diagnose()
    assert diagnosis.base_works
    for name in ("python", "steno", "onnxruntime", "WAV", "FLAC", "OGG Vorbis", "OGG Opus", "MP3", "resampling"):
        assert named(diagnosis, name).status is Status.OK


def test_a_codec_that_is_not_there_fails_the_base_and_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    write = soundfile.write

    def without_mp3(*args: object, **options: object) -> None:
        if options.get("format") == "MP3":
            raise soundfile.LibsndfileError(7)
        write(*args, **options)

    monkeypatch.setattr(soundfile, "write", without_mp3)
    diagnosis = diagnose()
    assert named(diagnosis, "MP3").status is Status.FAILED
    assert "soundfile" in named(diagnosis, "MP3").remedy
    assert named(diagnosis, "OGG Opus").status is Status.OK
    assert not diagnosis.base_works


def test_a_codec_that_returns_something_else_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    write = soundfile.write

    def quieter(file: object, samples: object, *args: object, **options: object) -> None:
        write(file, samples * 0.1, *args, **options)  # type: ignore[operator]

    monkeypatch.setattr(soundfile, "write", quieter)
    assert "level 0.04" in named(diagnose(), "FLAC").detail


def test_packages_of_the_base_that_are_missing_or_too_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = ["numpy>=999", "no-such-package>=1", "pydantic", 'torch<2; extra == "train"', 'ruff; extra == "dev"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: declared)
    diagnosis = diagnose()
    base, train = (check for check in diagnosis.checks if check.name == "packages")
    assert base.status is Status.FAILED
    assert "no-such-package is missing" in base.detail
    assert "numpy is " in base.detail
    assert "pydantic" not in base.detail
    assert train.status is Status.ABSENT
    assert train.remedy == "pip install 'steno[train]'"
    assert not diagnosis.base_works


def test_it_works_without_the_extras(tmp_path: Path) -> None:
    """As in a base install: torch, mlflow and espeakng-loader cannot be found, let alone be loaded."""
    program = """
import importlib.metadata, importlib.util, sys

gone = ("torch", "mlflow", "espeakng_loader", "lightning_fabric")
find_spec, version = importlib.util.find_spec, importlib.metadata.version
importlib.util.find_spec = lambda name, *rest: None if name in gone else find_spec(name, *rest)
for name in gone:
    sys.modules[name] = None

def installed(name):
    if name.replace("-", "_") in gone:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.metadata.version = installed
from steno.cli import main
sys.argv = ["steno", "doctor", "--format", "json"]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout)["checks"]
    absent = {check["part"]: check["detail"] for check in checks if check["status"] == "absent"}
    assert "torch is missing" in absent["train"]
    assert "mlflow is missing" in absent["train"]
    assert "espeakng-loader is missing" in absent["demo"]
    assert not any(check["name"] in ("torch", "espeak-ng") for check in checks)


def test_each_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    about = SimpleNamespace(name="Some GPU", total_memory=80e9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: about)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert [check.detail for check in diagnose().checks if check.name == "device"] == [
        "cuda:0 Some GPU, 80.0 GB, with bf16",
        "cuda:1 Some GPU, 80.0 GB, with bf16",
    ]


def test_a_store_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    found = store(diagnose())
    assert found.status is Status.OK
    assert "first training" in found.detail
    assert not list(tmp_path.iterdir())


def test_an_embedded_store_is_counted(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE runs (id TEXT)")
        database.execute("CREATE TABLE registered_models (name TEXT)")
        database.execute("INSERT INTO runs VALUES ('a'), ('b')")
    database.close()
    assert "2 runs, 0 registered models" in store(diagnose()).detail


def test_a_file_that_is_no_store_is_told_and_costs_no_exit_code(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_text("not a database")
    diagnosis = diagnose("sqlite:///bad.db")
    assert store(diagnosis).status is Status.FAILED
    assert diagnosis.base_works


def test_a_server_that_answers(server: str) -> None:
    assert store(diagnose(server)).detail == "server, MLflow 3.17.2"


def test_a_server_of_something_else(server: str) -> None:
    found = store(diagnose(f"{server}/elsewhere"))
    assert found.status is Status.FAILED
    assert "404" in found.detail


def test_a_server_that_is_away() -> None:
    found = store(diagnose("http://127.0.0.1:9"))
    assert found.status is Status.FAILED
    assert "steno track" in found.remedy


def test_a_database_server_is_shown_without_its_password() -> None:
    found = store(diagnose("postgresql://me:secret@127.0.0.1:9/steno"))
    assert found.status is Status.FAILED
    assert "secret" not in repr(found)


def test_an_address_that_is_none() -> None:
    assert store(diagnose("nonsense")).status is Status.FAILED


def test_the_command_prints_every_check_and_its_remedy() -> None:
    done = CliRunner().invoke(app, ["doctor", "--uri", "http://127.0.0.1:9"])
    assert done.exit_code == 0
    headings = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert headings[:3] == ["base", "train", "demo"]
    assert headings[-2:] == ["store", "machine"]
    assert {"lm", "serve", "mic", "s3", "azure", "batch", "ray", "wav2vec2"} == set(headings[3:-2])
    assert "steno track" in done.stdout


def test_the_command_fails_where_the_base_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (99, 0, 0))
    done = CliRunner().invoke(app, ["doctor", "--format", "json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["base_works"] is False


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert store(diagnose(f"sqlite:///{closed}/mlflow.db")).status is Status.FAILED
