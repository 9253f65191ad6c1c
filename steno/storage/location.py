"""Places in a store: which paths they are, and how they are spelt.

``Path`` makes one slash of two, ``s3:/bucket/key``; both spellings mean the same object. So no part of a key may be
empty. Azure's may name the account: ``abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY``.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from steno.errors import StorageError

S3, AZURE = "s3", "azure"
_KINDS = {
    "s3": S3,
    "s3a": S3,
    **dict.fromkeys(("abfs", "abfss", "az", "wasb", "wasbs"), AZURE),
}
_PLACE = re.compile(rf"({'|'.join(_KINDS)}):/+(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """An object, or the beginning of the names of several.

    ``root`` is the bucket, or the container with its account if that is named; ``key`` has no slash at either end.
    """

    scheme: str
    root: str
    key: str

    @property
    def kind(self) -> str:
        """:data:`S3` or :data:`AZURE`."""
        return _KINDS[self.scheme]

    @property
    def url(self) -> str:
        """The usual spelling."""
        return f"{self.scheme}://{self.root}" + (f"/{self.key}" if self.key else "")

    @property
    def path(self) -> str:
        """What fsspec calls it: the bucket or container, a slash, the key."""
        return f"{self.root.partition('@')[0]}/{self.key}".rstrip("/")

    @property
    def account(self) -> str | None:
        """Azure's account, where the place names it."""
        return self.root.partition("@")[2].partition(".")[0] or None


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether the path is a place in a store."""
    return bool(_PLACE.match(os.fspath(path)))


def parse(path: str | os.PathLike[str]) -> Place:
    """The place that a path means.

    Raises:
        StorageError: it names no bucket or container.
    """
    found = _PLACE.match(os.fspath(path))
    scheme, rest = found.groups() if found else ("", "")
    root, _, key = rest.strip("/").partition("/")
    if not root:
        raise StorageError(f"{path}: not a place in a store", "One is spelt s3://BUCKET/KEY or az://CONTAINER/KEY.")
    return Place(scheme, root, key.strip("/"))


def shown(path: str | os.PathLike[str]) -> str:
    """The path as a user would write it."""
    return parse(path).url if is_remote(path) else os.fspath(path)


def absolute(path: Path) -> Path:
    """The path from the root, links followed; a place in a store is absolute already."""
    return path if is_remote(path) else path.resolve()
