"""What there is to transcribe: the utterances of a manifest or of shards, or recordings by their names."""

import glob
import hashlib
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from steno import audio, storage
from steno.data.manifest import Manifest
from steno.data.shards.layout import INDEX, index_folder
from steno.errors import StenoError
from steno.fragments import part_of
from steno.runtime.files import expand
from steno.storage import objects

PART_SECONDS = 600.0
"""Audio of a part of a manifest, about: what is done again where a worker or the driver is killed."""

PART_FILES = 16
"""Recordings of a part, where nobody knows how long they are."""

MOST_PARTS = 20_000
"""A source of more is cut into larger parts instead."""

_EACH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Item:
    """One recording to transcribe: its id, its name as the user has it, and the path by which a worker opens it."""

    id: str
    file: str
    path: str


class Source(ABC):
    """Recordings in a fixed order, cut into parts of neighbours.

    Args:
        digest: changes whenever a recording, or the order, does.
        costs: (N,), in any unit.
        part_cost: what a part costs at least, but for the last one.
    """

    def __init__(self, digest: str, costs: npt.NDArray[np.float64], part_cost: float) -> None:
        self.digest = digest
        self.bounds = cut(costs, part_cost)

    def __len__(self) -> int:
        return self.bounds[-1]

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self.bounds) - 1

    def size(self, part: int) -> int:
        """How many recordings a part has."""
        return self.bounds[part + 1] - self.bounds[part]

    @abstractmethod
    def seconds(self, part: int) -> float:
        """How long a part lasts; 0 where that is not known."""

    def items(self, part: int) -> list[Item]:
        """The recordings of a part."""
        return [self._item(index) for index in range(self.bounds[part], self.bounds[part + 1])]

    @abstractmethod
    def _item(self, index: int) -> Item:
        """One recording."""


class ManifestSource(Source):
    """The utterances of a manifest, or of a sharded corpus."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        costs = manifest.durations.astype(np.float64) + _EACH_SECONDS
        super().__init__(manifest.digest, costs, PART_SECONDS)

    def seconds(self, part: int) -> float:
        return float(self._manifest.durations[self.bounds[part] : self.bounds[part + 1]].sum())

    def _item(self, index: int) -> Item:
        utterance = self._manifest[index]
        return Item(utterance.id, storage.shown(utterance.audio), _openable(utterance.audio))


class FileSource(Source):
    """Recordings by their names. The id of one is its name without folder and ending, where no other has that."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._stems = Counter(part_of(name).name for name in names)
        digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        super().__init__(digest, np.ones(len(names)), PART_FILES)

    def seconds(self, part: int) -> float:
        return 0.0

    def _item(self, index: int) -> Item:
        name = self._names[index]
        stem = part_of(name).name
        return Item(stem if self._stems[stem] == 1 else name, name, _openable(Path(name)))


def open_source(text: str) -> Source:
    """The source that an argument means: a manifest, shards, a recording, a folder or a glob, here or in a store.

    Raises:
        ManifestError: a manifest that cannot be read.
        StenoError: there is no recording, or one's name is not Unicode.
        StorageError: the store does not answer.
    """
    path = Path(text)
    if path.suffix.lower() in (".jsonl", ".json") or _is_shards(path):
        return ManifestSource(Manifest(path))
    names = _matching(text) if storage.is_remote(text) and glob.has_magic(text) else expand([text])
    names = list(dict.fromkeys(names))
    for name in names:
        if not name.isprintable():
            raise StenoError(f"{name!r}: the name cannot be written to a table", "Rename the file.")
    if names == [text] and not audio.is_audio(part_of(path).recording):
        raise StenoError(
            f"{text}: is neither a recording nor a manifest, shards, a folder or a glob",
            "A manifest ends in .jsonl; make one with: steno data prepare SOURCE --out manifest.jsonl",
        )
    return FileSource(names)


def _is_shards(path: Path) -> bool:
    folder = index_folder(path)
    return folder is not None and objects.exists(folder / INDEX)


def cut(costs: npt.NDArray[np.float64], least: float) -> list[int]:
    """Where parts begin, and the end of the last: (parts + 1,). No more than :data:`MOST_PARTS` parts."""
    total = float(costs.sum())
    least = max(least, total / MOST_PARTS)
    before = np.concatenate([[0.0], np.cumsum(costs)[:-1]])
    starts = np.flatnonzero(np.diff(np.floor(before / least), prepend=-1.0))
    return [*map(int, starts), len(costs)]


def _matching(text: str) -> list[str]:
    """The recordings of a store whose names match; ``*`` and ``?`` stay within a folder, ``**`` does not."""
    top = Path(*(_before_magic(Path(text).parts)))
    pattern = re.compile("".join(map(_regex, re.split(r"(\*\*/?|\*|\?)", storage.shown(text)))))
    found = [name for name in storage.recordings_below(top, audio.is_audio) if pattern.fullmatch(name)]
    if not found:
        raise StenoError(f"{text}: there is no recording that matches", "Only *, ? and ** mean something in a store.")
    return found


def _before_magic(parts: Sequence[str]) -> list[str]:
    magic = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return list(parts[:magic])


def _regex(piece: str) -> str:
    return {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))


def _openable(path: Path) -> str:
    # A worker may have another working directory.
    return storage.shown(storage.absolute(path))
