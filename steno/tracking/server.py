"""`mlflow server` with sound defaults, as a child that ends with us."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from steno.errors import TrackingError
from steno.tracking import store

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where the server listens and where it keeps things; the defaults are for one person's machine."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 1
    allowed_hosts: str | None = None
    artifacts: str | None = None

    @property
    def uri(self) -> str:
        """The address for MLFLOW_TRACKING_URI on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "") else "[::1]" if self.host == "::" else self.host
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    @property
    def exposed(self) -> bool:
        """Whether other machines can reach it; MLflow asks nobody for a password."""
        return self.host not in _LOOPBACK


def command(options: ServerOptions) -> list[str]:
    """The command line of the server: SQLite, artefacts through the server, loopback unless told otherwise."""
    folder = options.folder.absolute()
    line = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", options.host, "--port", str(options.port), "--workers", str(options.workers)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", options.artifacts or str(folder / "mlartifacts")),
        *("--uvicorn-opts", "--log-level warning"),
    ]
    if options.allowed_hosts:
        line += ["--allowed-hosts", options.allowed_hosts]
    return line


class Server:
    """A running server; leaving the context stops it and its workers.

    Raises:
        TrackingError: the port is in use, the folder cannot be written, or the server ends at once.
    """

    def __init__(self, options: ServerOptions, log: Path | None = None) -> None:
        self.options = options
        store.prepare()
        _check_port(options)
        folder = options.folder.absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrackingError(f"{folder}: {error.strerror or error}") from error
        if not (folder / "mlflow.db").exists():
            store.client(f"sqlite:///{folder / 'mlflow.db'}")  # a training may start at the same time
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        # These would make the server take itself for its own client.
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
            environment.pop(name, None)
        with log.open("ab") if log else contextlib.nullcontext() as out:
            self._process = subprocess.Popen(
                command(options),
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out if out else 2,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its workers share its group, so that all end together
            )

    @property
    def pid(self) -> int:
        """The process, and the group, of the server."""
        return self._process.pid

    def wait_until_ready(self, patience: float = 90.0) -> None:
        """Wait until it answers.

        Raises:
            TrackingError: it ended, or said nothing for ``patience`` seconds.
        """
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise TrackingError(f"the tracking server ended at once (code {self._process.returncode})")
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{self.options.uri}/health", timeout=2).close()
                return
            time.sleep(0.2)
        raise TrackingError(f"the tracking server says nothing at {self.options.uri} after {patience:.0f} s")

    def wait(self) -> int:
        """Wait until the server ends, and return its exit code."""
        return self._process.wait()

    def stop(self) -> None:
        """End the server and its workers, by force if asking does not help."""
        for number, patience in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _check_port(options: ServerOptions) -> None:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise TrackingError(
                f"cannot listen on {options.host}:{options.port} ({error.strerror or error})",
                "Choose another with --port, or stop what is listening there.",
            ) from error
