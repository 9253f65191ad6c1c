"""`steno data label` and `steno data record` in a process of their own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

PROGRAM = "import sys; from steno.cli import main; sys.argv[0] = 'steno'; main()"


class Labelling:
    """The command while it runs, and what it printed once it has ended."""

    def __init__(self, folder: Path, command: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "data", command, *map(str, arguments), "--port", "0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert " at http://" in line, self.process.communicate()
        self.url = line.split(" at ")[1].split()[0]
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def session(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/api/session").json()
        return found

    def put(self, number: int, **said: object) -> httpx.Response:
        return self.client.put(f"/api/items/{number}", json=said)

    def stop(self, sent: int) -> tuple[int, str, str]:
        """Exit code, output and error output."""
        self.client.close()
        self.process.send_signal(sent)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err
