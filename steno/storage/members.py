"""Files inside a tar file: ``shards/000003.tar:1536:48213/NAME.flac`` is a path like any other.

The numbers are where the member's bytes begin, and how many they are, so that one read gets them. A tar file in a
store is fetched to the cache, whole and once a machine.
"""

import fcntl
import hashlib
import io
import os
import re
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from steno.errors import StorageError
from steno.storage.cache import cache_home, local
from steno.storage.location import is_remote, shown

BLOCK = 512
"""Bytes of a member's header, and of what its data is padded to. Source: POSIX.1-2017, pax, ustar format."""

_MEMBER = re.compile(r"(.*\.tar):(\d+):(\d+)/([^/]+)", re.DOTALL)
_MOST_OPEN = 64
_opened = threading.local()


def member_path(archive: Path, offset: int, size: int, name: str) -> Path:
    """The path of the member whose ``size`` bytes begin at ``offset`` of a tar file."""
    return archive.with_name(f"{archive.name}:{offset}:{size}") / name


def is_member(path: str | os.PathLike[str]) -> bool:
    """Whether the path is one of :func:`member_path`."""
    return bool(_MEMBER.fullmatch(os.fspath(path)))


def read_member(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a member.

    Raises:
        StorageError: the tar file is missing, cut off or another one, or its store does not answer.
    """
    found = _MEMBER.fullmatch(os.fspath(path))
    if not found:
        raise StorageError(f"{path}: not a member of a tar file")
    archive, start, length, name = found.groups()
    offset, size = int(start), int(length)
    try:
        data = os.pread(_file(archive).fileno(), BLOCK + size, max(0, offset - BLOCK))
    except OSError as error:
        raise StorageError(f"{shown(archive)}: {error.strerror or error}", _CHECK) from error
    if len(data) != BLOCK + size:
        raise StorageError(f"{shown(archive)}: is cut off, {name} is not in it", _CHECK)
    try:
        header = tarfile.TarInfo.frombuf(data[:BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        header = tarfile.TarInfo()
    if (header.name, header.size) != (name, size):
        raise StorageError(f"{shown(archive)}: holds another file where {name} should be", _CHECK)
    return data[BLOCK:]


def open_file(path: Path) -> BinaryIO:
    """A file to read, wherever it is: on this machine, in a store, or in a tar file.

    Raises:
        StorageError: it cannot be had from its store or its tar file.
        OSError: as ``open``.
    """
    return io.BytesIO(read_member(path)) if is_member(path) else local(path).open("rb")


_CHECK = "Shards and their index belong together: copy the folder again, or write it again with steno data shard."


def _file(archive: str) -> io.FileIO:
    """The tar file, which stays open in this thread until many others were opened."""
    files: OrderedDict[str, io.FileIO] | None = getattr(_opened, "files", None)
    if files is None:
        files = _opened.files = OrderedDict()
    if archive not in files:
        if len(files) >= _MOST_OPEN:
            files.popitem(last=False)[1].close()
        files[archive] = io.FileIO(fetched(archive))
    files.move_to_end(archive)
    return files[archive]


def forget() -> None:
    """Close the tar files that this thread has open: they may have been written anew."""
    files: OrderedDict[str, io.FileIO] = getattr(_opened, "files", None) or OrderedDict()
    while files:
        files.popitem()[1].close()


def fetched(archive: str | os.PathLike[str]) -> Path:
    """The tar file on this machine; of several processes that want it from its store, one fetches it.

    Raises:
        StorageError: the store does not answer.
    """
    if not is_remote(archive):
        return Path(archive)
    with _alone(shown(archive)):
        return local(archive)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    folder = cache_home() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / hashlib.sha256(name.encode()).hexdigest()[:32]).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
