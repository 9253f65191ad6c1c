"""What Steno asks of a store: look, list, read, write, delete. What fails in passing is tried again.

Settings are the stores' own: AWS_ENDPOINT_URL, AWS_PROFILE, AWS_ACCESS_KEY_ID …, AZURE_STORAGE_CONNECTION_STRING,
AZURE_STORAGE_ACCOUNT_NAME … (docs/object-stores.md).
"""

import functools
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from steno.errors import MissingExtraError, StorageError
from steno.storage.location import AZURE, S3, Place, is_remote, parse

ATTEMPTS = 5
"""Times that a request is made before it counts as failed."""

FIRST_WAIT = 0.5
"""Seconds before the second attempt, about; each further wait is twice as long."""

BLOCK_BYTES = 8 * 1024 * 1024
"""What is asked for in one piece: a connection that is cut costs no more."""

PATIENCE = 120.0
"""Seconds that an attempt may take, beside the time that its bytes need: the libraries' own limits have gaps, of which
one is a server that never says that it will take an object.
"""

LISTING_PATIENCE = 1800.0
"""Seconds that a listing may take, which has as many requests as thousands of objects."""

SLOWEST = 16_000
"""Bytes a second of the slowest line that is waited for."""

_log = logging.getLogger("steno.storage")
_Answer = TypeVar("_Answer")
_Kinds = tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True)
class Object:
    """An object as its store describes it: bytes, and a tag that changes whenever they do."""

    size: int
    tag: str


def describe(place: Place) -> Object:
    """Size and tag of an object.

    Raises:
        StorageError: there is none, or the store does not answer.
    """
    found = _asked(place, "looked at", lambda store: store.info(place.path, timeout=PATIENCE))
    if found.get("type") == "directory":
        raise StorageError(f"{place.url}: is a folder of the store, not an object")
    return _object(found)


def below(place: Place) -> dict[str, Object]:
    """Every object whose name begins with the place's and a slash, by the rest of its name, sorted.

    Raises:
        StorageError: the store does not answer, or does not let us look. An empty folder is no error.
    """
    try:
        found = _asked(place, "listed", lambda store: store.find(place.path, detail=True, timeout=LISTING_PATIENCE))
    except MissingObjectError:
        return {}
    if not isinstance(found, dict):  # adlfs' answer where the name is an object's own
        return {}
    start = f"{place.path}/"
    rows = {name[len(start) :]: row for name, row in found.items() if name.startswith(start)}
    names = {name for name, row in rows.items() if row.get("type") == "file" and _is_name(name)}
    # A disk cannot hold a file and a folder of one name; some tools write such an object to mark a folder.
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    return {name: _object(rows[name]) for name in sorted(names - folders)}


def exists(path: Path) -> bool:
    """Whether there is something at a path, of this machine or in a store.

    Raises:
        StorageError: the store does not answer.
    """
    if not is_remote(path):
        return path.exists()
    try:
        describe(parse(path))
    except MissingObjectError:
        return False
    return True


def blocks(place: Place, size: int) -> Iterator[bytes]:
    """The bytes of an object of a known size, in order; each block is whole.

    Raises:
        StorageError: the object is gone, has another size, or the store does not answer.
    """
    for start in range(0, size, BLOCK_BYTES):
        end = min(size, start + BLOCK_BYTES)
        yield _asked(place, "read", functools.partial(_block, place=place, start=start, end=end))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write an object; it is there whole, or as it was before.

    Raises:
        StorageError: the store does not answer, or does not let us write.
    """
    _write(parse(path), data)


def upload(source: Path, place: Place) -> Object:
    """Write an object from a file; it is there whole, or as it was before.

    Raises:
        StorageError: as :func:`write_bytes`.
        OSError: the file cannot be read.
    """
    size = source.stat().st_size
    if size <= BLOCK_BYTES:
        return _write(place, source.read_bytes())  # the file may be growing: what is sent is what was read
    _asked(place, "written", lambda store: store.put_file(str(source), place.path, timeout=_patience(size)))
    return _check_size(place, size)


def delete(path: str | os.PathLike[str]) -> None:
    """Delete an object; one that is not there is no error.

    Raises:
        StorageError: the store does not answer, or does not let us delete.
    """
    place = parse(path)
    try:
        _asked(place, "deleted", lambda store: store.rm_file(place.path, timeout=PATIENCE))
    except MissingObjectError:
        return


class MissingObjectError(StorageError):
    """There is no such object, bucket or container."""


def library_errors() -> tuple[type[Exception], ...]:
    """What the stores' libraries raise, of those that are loaded; MLflow lets it through."""
    known = {
        "boto3.exceptions": ("Boto3Error",),
        "botocore.exceptions": ("BotoCoreError", "ClientError"),
        "azure.core.exceptions": ("AzureError",),
    }
    return tuple(
        getattr(sys.modules[module], name) for module, names in known.items() if module in sys.modules for name in names
    )


def identity(place: Place) -> str:
    """What tells apart two objects of the same name: the store that is asked for them."""
    if place.kind == S3:
        names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "FSSPEC_S3_ENDPOINT_URL", "AWS_PROFILE")
        return " ".join(f"{name}={os.environ.get(name, '')}" for name in names)
    given = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    parts = [part for part in given.split(";") if part.startswith(("AccountName", "BlobEndpoint", "EndpointSuffix"))]
    return " ".join([*sorted(parts), place.account or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")])


def _write(place: Place, data: bytes) -> Object:
    _asked(place, "written", lambda store: store.pipe_file(place.path, data, timeout=_patience(len(data))))
    return _check_size(place, len(data))


def _block(store: Any, place: Place, start: int, end: int) -> bytes:
    data: bytes = store.cat_file(place.path, start=start, end=end, timeout=_patience(end - start))
    if len(data) != end - start:
        raise EOFError(f"{len(data)} bytes came instead of {end - start}")
    return data


def _patience(size: int) -> float:
    """Seconds that an attempt with so many bytes may take."""
    return PATIENCE + size / SLOWEST


def _check_size(place: Place, size: int) -> Object:
    found = describe(place)
    if found.size < size:
        raise StorageError(f"{place.url}: holds {found.size} bytes, not the {size} that were written")
    return found


def _is_name(name: str) -> bool:
    """Whether it may be the path of a file below a folder: keys are free, and `../../.ssh/config` is one."""
    return all(part not in ("", ".", "..") for part in name.split("/")) and "\0" not in name


def _object(row: dict[str, Any]) -> Object:
    tag = row.get("ETag") or row.get("etag") or ""
    return Object(int(row["size"]), str(tag).strip('"'))


def _asked(place: Place, doing: str, ask: Callable[[Any], _Answer]) -> _Answer:
    """Ask the store, again and again where it may help, ever longer apart."""
    store = _store(place)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _worded(place, doing):
                return ask(store)
        except _Passing as error:
            if attempt == ATTEMPTS:
                raise StorageError(
                    f"{place.url}: cannot be {doing} ({error}), tried {ATTEMPTS} times",
                    "Look whether the store can be reached from here, and see docs/object-stores.md.",
                ) from error.__cause__
            _log.info("%s: %s; attempt %d of %d", place.url, error, attempt, ATTEMPTS)
            time.sleep(FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))
    raise AssertionError("unreachable")


class _Passing(Exception):
    """A failure that another attempt may not meet."""


@contextmanager
def _worded(place: Place, doing: str) -> Iterator[None]:
    """Turn what the libraries raise into :class:`StorageError`, or into :class:`_Passing`."""
    missing, refused, failures = _failures(place.kind)
    try:
        yield
    except missing:
        raise MissingObjectError(f"{place.url}: no such object", "Check the name; it is case-sensitive.") from None
    except (*refused, *failures) as error:
        if not isinstance(error, refused) and getattr(error, "status_code", None) not in (401, 403):
            raise _Passing(_reason(error)) from error
        raise StorageError(
            f"{place.url}: cannot be {doing}: {_reason(error)}",
            "Check the credentials and the rights that they have; docs/object-stores.md names the least ones.",
        ) from error


@functools.cache
def _failures(kind: str) -> tuple[_Kinds, _Kinds, _Kinds]:
    """What the libraries raise where an object is missing, where they are refused, and where anything else fails."""
    passing = (OSError, EOFError, TimeoutError, import_module("aiohttp").ClientError)
    if kind == S3:
        aws = import_module("botocore.exceptions")
        refused = (aws.NoCredentialsError, aws.PartialCredentialsError, aws.ProfileNotFound, aws.ParamValidationError)
        return (FileNotFoundError,), (PermissionError, *refused), (*passing, aws.BotoCoreError)
    azure = import_module("azure.core.exceptions")
    missing = (FileNotFoundError, azure.ResourceNotFoundError)
    # adlfs raises RuntimeError where an upload fails.
    return missing, (PermissionError, azure.ClientAuthenticationError), (*passing, azure.AzureError, RuntimeError)


def _reason(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _store(place: Place) -> Any:
    """The store's file system; one for each process and each set of settings.

    Raises:
        MissingExtraError: its library is not installed.
        StorageError: what the environment says of it does not do.
    """
    settings = frozenset(item for item in os.environ.items() if item[0].startswith(("AWS_", "AZURE_", "FSSPEC_")))
    return _connected(place.kind, place.account if place.kind == AZURE else None, settings, os.getpid())


@functools.lru_cache(maxsize=16)
def _connected(kind: str, account: str | None, settings: frozenset[tuple[str, str]], process: int) -> Any:
    # Listings are never kept: another machine may write. Retries are ours, so that there is one rule for all.
    options = {"use_listings_cache": False, "skip_instance_cache": True}
    try:
        if kind == S3:
            import s3fs

            timeouts = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 0}}
            store = s3fs.S3FileSystem(config_kwargs=timeouts, **options)
            store.retries = 1
            return store
        import adlfs
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or kind, "s3" if kind == S3 else "azure") from None
    try:
        # The account that the place names, unless the connection string says all.
        store = adlfs.AzureBlobFileSystem(account_name=account, connection_timeout=10, read_timeout=60, **options)
        client = store.service_client
        store.service_client = type(client)(client.url, credential=client.credential, retry_total=0)
        return store
    except ValueError as error:
        raise StorageError(
            f"Azure Blob: {_reason(error)}",
            "Set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and credentials "
            "(docs/object-stores.md).",
        ) from error
