"""The folder of parts, on disk or in a store: each is there whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steno import storage
from steno.errors import StenoError
from steno.storage import objects
from steno.storage.location import parse


class Parts:
    """Files of a folder on disk.

    Args:
        folder: is made where it is missing.

    Raises:
        StenoError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def place(self) -> str:
        """The folder as a user would write it."""
        return storage.shown(self.folder)

    def names(self) -> set[str]:
        """The files that are there whole."""
        return {path.name for path in self.folder.glob("*") if not path.name.startswith(".")}

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return (self.folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Write a file.

        Raises:
            StenoError: it cannot be written.
        """
        partial = self.folder / f".{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(self.folder / name)
        except OSError as error:
            raise StenoError(
                f"{self.folder / name}: cannot be written ({error.strerror or error})",
                "What was done before is kept; the same command goes on.",
            ) from error

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.folder)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs of this machine away.

        Raises:
            StenoError: there is one.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("w")
        except OSError as error:
            raise StenoError(f"{self.folder}: cannot be written ({error.strerror or error})") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StenoError(
                    f"{self.folder}: another steno batch is writing there", "Wait for it, or name another file."
                ) from None
            yield


class RemoteParts(Parts):
    """Objects of a store."""

    def names(self) -> set[str]:
        return set(objects.below(parse(self.folder)))

    def read(self, name: str) -> bytes:
        place = parse(self.folder / name)
        return b"".join(objects.blocks(place, objects.describe(place).size))

    def write(self, name: str, data: bytes) -> None:
        storage.write_bytes(self.folder / name, data)

    def remove(self) -> None:
        for name in sorted(self.names()):
            storage.delete(self.folder / name)

    @contextmanager
    def held(self) -> Iterator[None]:
        yield


def parts_at(folder: Path) -> Parts:
    """The parts of a folder, wherever it is."""
    return RemoteParts(folder) if storage.is_remote(folder) else Parts(folder)
