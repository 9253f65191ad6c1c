"""The spool: everything that a run logs goes to an append-only file first, and from there to the store.

A run's spool is a folder ``RUN_DIR/tracking/RUN_ID`` with ``run.json`` (which run, which store),
``spool.jsonl`` (one record a line, in the order in which they were made), ``sent`` (how many of its bytes the
store has), ``files/`` (copies of what was logged as a file) and ``refused.jsonl`` (what the store will never
take, with its reason). So an unreachable store, a killed process or a full day without a network lose nothing.
"""

import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from steno.errors import TrackingError

Record = dict[str, Any]
HELD_BY_ORPHANS = 10.0
"""Seconds to wait for a spool: the loader's processes share its lock, and outlive a killed training a little."""


@dataclass(frozen=True, slots=True)
class RunNote:
    """Which run in which store a spool belongs to."""

    run_id: str
    uri: str
    experiment: str
    experiment_id: str


class Spool:
    """One run's spool, open for appending; one process at a time holds it.

    Args:
        folder: the run's own spool folder.
        note: the run, written when the spool is new; None to open one that exists.

    Raises:
        TrackingError: another process holds the spool, or there is none to open.
    """

    def __init__(self, folder: Path, note: RunNote | None = None) -> None:
        self.folder = folder
        if note is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "run.json", json.dumps(asdict(note)))
        self.note = note or read_note(folder / "run.json")
        self._lock_file = _hold(folder)
        self._path = folder / "spool.jsonl"
        self._drop_torn_line()
        self._out = self._path.open("ab")
        self._guard = threading.Lock()
        self.sent = self._read_sent()

    @property
    def end(self) -> int:
        """Bytes in the spool; equal to ``sent`` when the store has everything."""
        return self._path.stat().st_size

    def append(self, record: Record) -> int:
        """Add a record; returns the spool's length in bytes with it, so that its delivery can be awaited."""
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        with self._guard:
            self._out.write(line)
            self._out.flush()
            return self._out.tell()

    def sync(self) -> None:
        """Make the records outlive a power cut; a killed process loses none even without."""
        with self._guard:
            if not self._out.closed:
                os.fsync(self._out.fileno())

    def records(self, start: int = 0) -> Iterator[tuple[int, Record]]:
        """Each record from a byte position on, with the position behind it."""
        position = start
        with self._path.open("rb") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                position += len(line)
                yield position, json.loads(line)

    def keep_file(self, source: Path, name: str | None = None) -> Path:
        """Copy a file or folder beside the records, because the original may change before it is sent."""
        target = self.new_file(name or source.name)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
        return target

    def new_file(self, name: str) -> Path:
        """A fresh path of that name for a file that goes with a record."""
        files = self.folder / "files"
        number = 1
        while True:
            try:
                (files / f"{number:05d}").mkdir(parents=True)
                return files / f"{number:05d}" / name
            except FileExistsError:
                number += 1

    def mark_sent(self, position: int) -> None:
        """Remember that the store has everything before this position."""
        write_atomically(self.folder / "sent", str(position))
        self.sent = position

    def refuse(self, record: Record, reason: str) -> None:
        """Set a record aside that the store will never take."""
        with (self.folder / "refused.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps({"reason": reason, "record": record}, ensure_ascii=False) + "\n")

    def drop_files(self, record: Record) -> None:
        """Remove the copies that belong to a record which the store has."""
        if kept := record.get("file"):
            shutil.rmtree((self.folder / kept).parent, ignore_errors=True)

    def close(self) -> None:
        """Write through and let others open the spool."""
        self.sync()
        self._out.close()
        self._lock_file.close()

    def _read_sent(self) -> int:
        try:
            return min(int((self.folder / "sent").read_text()), self.end)
        except (FileNotFoundError, ValueError):
            return 0  # sending again is harmless, see delivery.py

    def _drop_torn_line(self) -> None:
        """A process killed while it wrote leaves half a line; appending to it would spoil two records."""
        if not self._path.exists():
            return
        with self._path.open("rb+") as file:
            data_end = file.seek(0, os.SEEK_END)
            position = data_end
            while position:
                start = max(0, position - 65_536)
                file.seek(start)
                block = file.read(position - start)
                if (cut := block.rfind(b"\n")) >= 0:
                    position = start + cut + 1
                    break
                position = start
            if position != data_end:
                file.truncate(position)


def read_note(path: Path) -> RunNote:
    """The run that a ``run.json`` or ``tracking.json`` names.

    Raises:
        TrackingError: the file is missing or damaged.
    """
    try:
        return RunNote(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise TrackingError(f"{path.parent}: no tracked run here", "Give the folder of a training run.") from None
    except (OSError, ValueError, TypeError) as error:
        raise TrackingError(f"{path}: cannot be read ({error})", "Remove the file to start a new run.") from error


def delivered(run_dir: Path) -> bool:
    """Whether the stores of all runs that were tracked in a folder have everything, and refused nothing."""
    for folder in (path.parent for path in (run_dir / "tracking").glob("*/spool.jsonl")):
        spool = Spool(folder)
        spool.close()
        if spool.sent < spool.end or (folder / "refused.jsonl").exists():
            return False
    return True


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader finds the old or the new one, never half of it."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _hold(folder: Path) -> IO[str]:
    try:
        file = (folder / "lock").open("w")
    except OSError as error:
        raise TrackingError(f"{folder}: {error.strerror or error}") from error
    until = time.monotonic() + HELD_BY_ORPHANS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            if time.monotonic() < until:
                time.sleep(0.2)
                continue
            file.close()
            raise TrackingError(
                f"{folder}: another process is logging this run",
                "Wait until it ends; a run that is still training sends its records by itself.",
            ) from None
