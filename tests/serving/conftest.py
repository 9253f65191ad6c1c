"""Servers over the recogniser of tones, and what is said to them."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from running import KEY, Running, Start, launch


@pytest.fixture
def start(model: Path, tmp_path: Path) -> Iterator[Start]:
    """Start servers of one's own: ``start("--max-streams", 1)``."""
    running: list[Running] = []

    def begin(*options: object, model: Path | str = model, **more: Any) -> Running:
        running.append(launch(model, tmp_path / f"server-{len(running)}.log", *options, **more))
        return running[-1]

    yield begin
    for server in running:
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def server(trained: tuple[Path, tiny.Recorder], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests that leave it as it was."""
    running = launch(trained[0] / "model", tmp_path_factory.mktemp("server") / "server.log", "--max-seconds", 60)
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture
def spoken() -> np.ndarray:
    """Samples that say "ab cd" at 16 kHz."""
    return tiny.speak("ab cd", seed=9)


@pytest.fixture
def wav(tmp_path: Path) -> bytes:
    """A WAV file that says "ab cd"."""
    return tiny.record(tmp_path / "said.wav", "ab cd", seed=9).audio.read_bytes()


@pytest.fixture(scope="session")
def strict(trained: tuple[Path, tiny.Recorder], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that wants a key, logs what it hears, and has little room and patience."""
    options = ["--max-queue", 1, "--max-streams", 1, "--max-bytes", 100_000, "--timeout", 5, "--idle-seconds", 1]
    options += ["--cors", "https://app.example", "--allowed-hosts", "*.steno.example", "--log-transcripts"]
    log = tmp_path_factory.mktemp("strict") / "server.log"
    running = launch(trained[0] / "model", log, *options, key=KEY, environ={"STENO_API_KEYS": KEY})
    yield running
    running.stop(signal.SIGKILL)
