"""Worker processes, which may start before it is known what they will serve. Needs the standard library alone."""

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

Kind = Literal["files", "streams"]

NICENESS: dict[Kind, int] = {"files": 10, "streams": 0}
"""Live speech goes before files where processors are short."""


_SECRET = re.compile("KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|CONNECTION_STRING|_URI$|_SAS", re.IGNORECASE)


class Spawned(NamedTuple):
    """A worker that waits for its settings on a socket; it ends when that is closed."""

    process: "subprocess.Popen[bytes]"
    connection: socket.socket


_spare: list[Spawned] = []


def spawn(kind: Kind) -> Spawned:
    """Start a worker.

    Raises:
        OSError: the system has no room for another process.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "steno.serving.worker", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env={**_harmless(os.environ), "OMP_NUM_THREADS": "1"},  # ONNX Runtime's threads are told apart
        )
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS[kind])
    return Spawned(process, ours)


def _harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker may know, which decodes what strangers send: nothing whose name is that of a secret."""
    return {name: value for name, value in environment.items() if not _SECRET.search(name)}


@contextlib.contextmanager
def one_ahead() -> Iterator[None]:
    """Start a worker for files ahead of time: it loads its modules while the caller loads those of the server."""
    _spare.append(spawn("files"))
    try:
        yield
    finally:
        while _spare:
            process, connection = _spare.pop()
            connection.close()
            process.kill()
            process.wait()


def take(kind: Kind) -> Spawned:
    """A worker that was prepared, or a fresh one.

    Raises:
        OSError: as :func:`spawn`.
    """
    return _spare.pop() if kind == "files" and _spare else spawn(kind)
