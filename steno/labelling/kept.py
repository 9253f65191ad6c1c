"""A manifest that is written anew at each change, so that it is whole at any moment."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.errors import ManifestError

Name = TypeVar("Name", bound=Hashable)


class Kept(Generic[Name]):
    """The rows of a manifest, each by a name of its own.

    Args:
        path: the manifest; one that is there is gone on with.
        name_of: what a row is found by.

    Raises:
        ManifestError: what is there is no manifest.
    """

    def __init__(self, path: Path, name_of: Callable[[Utterance], Name]) -> None:
        self.path, self._name_of = path, name_of
        rows = Manifest(path) if path.exists() else ()
        self.rows: dict[Name, Utterance] = {name_of(row): row for row in rows}

    def put(self, row: Utterance) -> None:
        """Add a row, or replace the one of its name.

        Raises:
            ManifestError: the manifest cannot be written; then nothing has changed.
        """
        self._write({**self.rows, self._name_of(row): row})

    def remove(self, name: Name) -> None:
        """Take a row out, if it is there.

        Raises:
            ManifestError: the manifest cannot be written; then nothing has changed.
        """
        if name in self.rows:
            self._write({other: row for other, row in self.rows.items() if other != name})

    def _write(self, rows: dict[Name, Utterance]) -> None:
        try:
            if rows:
                write_manifest(self.path, rows.values())
            else:
                self.path.unlink()
        except OSError as error:
            raise ManifestError(f"{self.path}: cannot be written ({error.strerror or error})") from None
        self.rows = rows
