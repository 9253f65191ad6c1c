"""The cache: objects as files on this machine.

An object is fetched to a name of its own, looked over, and only then given its place, with a rename; so what has its
place is whole, whatever was cut or killed before. Beside it lies which version of the object it is. After an hour the
store is asked whether that is still the one. Files that were not used for the longest time go when the cache holds
more than $STENO_CACHE_GB (50 by default).
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from pathlib import Path

from steno.errors import StorageError
from steno.storage import objects
from steno.storage.location import Place, is_remote, parse
from steno.storage.objects import MissingObjectError, Object

FRESH_SECONDS = 3600.0
"""A file is taken for the object's present version so long after the store was asked."""

IN_USE_SECONDS = 600.0
"""A file that was asked for so recently is not removed: somebody is about to open it."""

_DEFAULT_GB = 50.0
_NOTE = ".json"
_PART = ".part-"
_log = logging.getLogger("steno.storage")
_guard = threading.Lock()
_fetched = 0  # bytes since the cache was last swept


def cache_home() -> Path:
    """Steno's folder for what can be fetched or made again: $XDG_CACHE_HOME/steno."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "steno"


def local(path: str | os.PathLike[str], *, fresh: bool = False) -> Path:
    """The file on this machine: the path itself, or the copy of an object in the cache, fetched if need be.

    Args:
        path: a path, or a place in a store.
        fresh: ask the store whether the copy is the present version, however recently that was asked.

    Raises:
        StorageError: there is no such object, or the store does not answer; a recent copy serves while it does not.
        MissingExtraError: the store's library is not installed.
    """
    if not is_remote(path):
        return Path(path)
    place = parse(path)
    file = _file(place)
    known = _known(file)
    if known is not None and not fresh and _age(_note(file)) < FRESH_SECONDS:
        _touch(file)
        return file
    try:
        present = objects.describe(place)
    except MissingObjectError:
        raise
    except StorageError as error:
        if known is None or fresh:
            raise
        _log.warning("%s; its copy of before is used", error.message)
        _touch(file)
        return file
    if present == known and present.tag:
        _touch(file, _note(file))
        return file
    fetch(place, present, file)
    _write_note(file, place, present)
    _sweep_sometimes(present.size)
    return file


def fetch(place: Place, present: Object, target: Path) -> None:
    """Fetch one version of an object; the file appears whole or not at all.

    Raises:
        StorageError: it is gone, it changed meanwhile, the store does not answer, or the file cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=_PART, dir=target.parent)
        partial = Path(name)
        try:
            with os.fdopen(handle, "wb") as out:
                for block in objects.blocks(place, present.size):
                    out.write(block)
            # One block is of one version; several may be of two.
            if present.size > objects.BLOCK_BYTES and objects.describe(place) != present:
                raise StorageError(f"{place.url}: was changed while it was fetched", "Try again once it is written.")
            _note(target).unlink(missing_ok=True)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{target.parent}: cannot be written ({error.strerror or error}), for {place.url}",
            "Make room, or name another disk with XDG_CACHE_HOME.",
        ) from error


def sweep(limit: float) -> int:
    """Remove what was not used for the longest time until no more than ``limit`` bytes are kept; the bytes removed.

    What was used in the last :data:`IN_USE_SECONDS` stays. So does what another process is fetching now.
    """
    files: list[tuple[float, int, Path]] = []
    for path in (cache_home() / "objects").glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if path.name.startswith(_PART):
                if time.time() - status.st_mtime > 24 * 3600:  # its process was killed
                    path.unlink()
            elif path.suffix != _NOTE or not path.with_suffix("").exists():
                files.append((status.st_mtime, status.st_size, path))
    total, removed = sum(size for _, size, _ in files), 0
    for used, size, path in sorted(files):
        if total - removed <= limit or time.time() - used < IN_USE_SECONDS:
            break
        _note(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        removed += size
    return removed


def limit_bytes() -> float:
    """The bytes that the cache may hold.

    Raises:
        StorageError: $STENO_CACHE_GB is not a number above zero.
    """
    text = os.environ.get("STENO_CACHE_GB") or str(_DEFAULT_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not gigabytes > 0:
        raise StorageError(
            f"STENO_CACHE_GB is {text!r}", "Set it to the gigabytes that the cache may hold, such as 20."
        )
    return gigabytes * 1e9


def _sweep_sometimes(fetched: int) -> None:
    """Look at the cache's size after each twentieth of what it may hold."""
    global _fetched
    limit = limit_bytes()
    with _guard:
        _fetched += fetched
        if _fetched < limit / 20:
            return
        _fetched = 0
        sweep(0.95 * limit)


def _file(place: Place) -> Path:
    key = hashlib.sha256(f"{objects.identity(place)}\n{place.kind}\n{place.root}/{place.key}".encode()).hexdigest()
    return cache_home() / "objects" / key[:2] / f"{key[2:40]}{Path(place.key).suffix}"


def _note(file: Path) -> Path:
    return file.with_name(file.name + _NOTE)


def _known(file: Path) -> Object | None:
    """The version that the file is, if there is a whole one."""
    try:
        row = json.loads(_note(file).read_text(encoding="utf-8"))
        known = Object(int(row["size"]), str(row["tag"]))
        return known if file.stat().st_size == known.size else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_note(file: Path, place: Place, present: Object) -> None:
    partial = file.with_name(f"{_PART}{os.getpid()}-{threading.get_ident()}-{file.name}")
    row = {"url": place.url, "size": present.size, "tag": present.tag}
    partial.write_text(json.dumps(row), encoding="utf-8")
    partial.replace(_note(file))


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _touch(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)
