"""A server in a process of its own, as `steno serve` starts it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

KEY = "test-key-0123456789"

_PROGRAM = "import sys; from steno.cli import main; sys.argv[0] = 'steno'; main()"


@dataclass
class Running:
    """A server that answers at ``url``; its log goes to a file."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    key: str = ""
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=30)

    @property
    def stream_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/v1/stream"

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def events(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def post(self, audio: bytes, **fields: Any) -> httpx.Response:
        """A transcription request."""
        data = {"model": "tiny", **fields}
        return self.client.post("/v1/audio/transcriptions", files={"file": ("a.wav", audio)}, data=data)

    def metric(self, name: str) -> float:
        """The value of a metric, labels and all, 0 if it is not there."""
        lines = self.client.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.split()[0] == name), 0.0)

    def stop(self, sent: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Send a signal and wait for the end; its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(sent)
        return self.process.wait(seconds)


Start = Callable[..., Running]


def launch(
    model: Path | str, log: Path, *options: object, key: str = "", environ: dict[str, str] | None = None
) -> Running:
    """Start `steno serve` on a free port and wait until it serves."""
    words = ["serve", "--model", str(model), "--port", "0", "--workers", "1", *map(str, options)]
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
        env={**os.environ, **(environ or {})},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert " at http://" in line, log.read_text()
    return Running(process, line.split(" at ")[1].split()[0], log, key)
