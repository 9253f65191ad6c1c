"""A tar file that is written member by member, and of which is known where each begins."""

import hashlib
import os
import tarfile
from pathlib import Path
from types import TracebackType
from typing import Self

from steno.storage.members import BLOCK

END = 2 * BLOCK
"""Bytes of zeros that end a tar file."""


class TarWriter:
    """Writes one tar file (ustar); the same members give the same bytes. It has its name once it is whole.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._partial = path, path.with_name(path.name + ".part")
        self._file = self._partial.open("wb")
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Digest of what was written."""
        return self._digest.hexdigest()

    def add(self, name: str, data: bytes) -> int:
        """Add a member and return the place of its first byte."""
        header = tarfile.TarInfo(name)
        header.size = len(data)
        self._write(header.tobuf(tarfile.USTAR_FORMAT))
        place = self.size
        self._write(data)
        self._write(bytes(-len(data) % BLOCK))
        return place

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._write(bytes(END))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self.path)
        else:
            self._file.close()
            self._partial.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)


def padded(size: int) -> int:
    """Bytes that a member of so many bytes takes, with its header."""
    return BLOCK + size + -size % BLOCK
