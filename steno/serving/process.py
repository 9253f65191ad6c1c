"""A worker process as the server sees it."""

import asyncio
import contextlib
import subprocess
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Any, Self

from steno.errors import ModelError
from steno.serving import wire
from steno.serving.config import ServeConfig
from steno.serving.spawn import Kind, take
from steno.serving.wire import Frame

START_SECONDS = 120.0
"""Time that a worker has to load its model."""


class Process:
    """One worker process and the socket to it. Made by :meth:`start`."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._ended = asyncio.Event()
        Thread(target=self._watch, args=(asyncio.get_running_loop(),), daemon=True).start()

    @classmethod
    async def start(cls, kind: Kind, folder: Path, threads: int, config: ServeConfig) -> Self:
        """Start a worker and wait until its model is loaded and warm.

        Raises:
            ModelError: the model cannot be loaded, or loading took too long.
            OSError: the system has no room for another process.
        """
        spawned = take(kind)
        settings = {
            "kind": kind,
            "folder": str(folder),
            "threads": threads,
            "max_seconds": config.max_seconds,
            "decoding": asdict(config.decoding),
        }
        reader, writer = await asyncio.open_connection(sock=spawned.connection)
        worker = cls(spawned.process, reader, writer)
        worker.send(settings)
        try:
            async with asyncio.timeout(START_SECONDS):
                frame = await worker.receive()
        except BaseException as error:
            await worker.stop()
            if isinstance(error, TimeoutError):
                raise ModelError(f"{folder}: the model was not loaded within {START_SECONDS:g} s") from None
            raise
        if frame is None or "ready" not in frame[0]:
            await worker.stop()
            head = frame[0] if frame else {}
            raise ModelError(head.get("failed", f"{folder}: the worker died while it loaded"), head.get("hint", ""))
        return worker

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Queue a frame to the worker; a dead one's is dropped, as :meth:`receive` then tells."""
        if not self._writer.is_closing():
            self._writer.write(wire.pack(head, body))

    async def receive(self) -> Frame | None:
        """The next frame from the worker; None once it is dead."""
        return await wire.read(self._reader)

    async def gone(self) -> None:
        """Wait until the process has ended."""
        await self._ended.wait()

    async def stop(self, patience: float = 0.0) -> None:
        """Hang up, wait for ``patience`` seconds, then kill."""
        self._writer.close()
        try:
            async with asyncio.timeout(patience):
                await self.gone()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self.gone()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(self._ended.set)
