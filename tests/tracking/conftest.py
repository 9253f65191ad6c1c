"""One embedded store and one tracking server for all tests here: each takes seconds to make."""

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from steno.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Outage:
    """A `steno track` that can be killed in the middle of things and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.start()

    def start(self) -> None:
        line = "from steno.cli import main; main()"
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-c", line, "track", "--port", str(self.port), "--to", str(self.folder)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        self.printed = [self._process.stdout.readline().strip() for _ in range(2)]
        self.processes = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(True)]

    def kill(self) -> None:
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self.processes)
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end; returns its exit code."""
        self._process.terminate()
        return self._process.wait(timeout=30)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.5")
    monkeypatch.setattr("steno.tracking.spool.HELD_BY_ORPHANS", 0.0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    store.client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> str:
    """The address of an SQLite store."""
    return f"sqlite:///{shutil.copy(empty_store, tmp_path_factory.mktemp('embedded'))}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Outage]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder)
    outage = Outage(folder)
    yield outage
    outage.kill()


@pytest.fixture
def client(embedded: str) -> "MlflowClient":
    return store.client(embedded)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A folder that looks like a model's as far as tracking reads it."""
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "config.yaml").write_text("name: tiny\n")
    (folder / "model.onnx").write_bytes(b"graph")
    return folder
