"""The index of a sharded corpus: one safetensors file of columns that are mapped into memory, not read.

A million utterances are about 45 MB on disk, of which a process has in memory what it looks at. The header lists the
shards with their bytes, SHA-256 and numbers of utterances.

Format: https://github.com/huggingface/safetensors (eight bytes of the header's length, JSON, the columns).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from safetensors.numpy import save_file

from steno.data.row import checked_row
from steno.data.shards.layout import INDEX, index_folder, member_key
from steno.errors import ManifestError, StorageError
from steno.storage import is_remote, local, objects, shown
from steno.storage.members import forget, member_path, read_member

FORMAT = "steno-shards-1"
"""The only key of the header's metadata: safetensors writes several in any order, and equal data has equal bytes."""

_TYPES = {"F32": np.float32, "I64": np.int64, "U32": np.uint32, "U8": np.uint8}
_COLUMNS = {
    "duration": np.float32,
    "audio_offset": np.int64,
    "audio_size": np.uint32,
    "json_offset": np.int64,
    "json_size": np.uint32,
    "suffix": np.uint8,
    "id_end": np.int64,
}
_AGAIN = "Write it with: steno data shard MANIFEST --to DIR"


@dataclass(frozen=True, slots=True)
class Shard:
    """One tar file of the corpus."""

    name: str
    bytes: int
    sha256: str
    utterances: int


class ShardIndex:
    """The utterances of a sharded corpus, in the order of its shards.

    Args:
        folder: where the index and its shards are, on this machine or in a store.

    Raises:
        ManifestError: there is no index, it is not one, or a shard is missing or has another size.
        StorageError: the store does not answer.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder
        forget()
        self._file = local(folder / INDEX, fresh=True)
        self._columns, about = _mapped(self._file, folder)
        self._suffixes: list[str] = about["suffixes"]
        self.shards = tuple(Shard(**row) for row in about["shards"])
        self.durations: npt.NDArray[np.float32] = self._columns["duration"]
        counts = [shard.utterances for shard in self.shards]
        self.starts: npt.NDArray[np.int64] = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        if not len(self.durations) or self.starts[-1] != len(self.durations):
            raise ManifestError(f"{shown(folder / INDEX)}: does not count its utterances right", _AGAIN)
        self._check_shards()
        with self._file.open("rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.durations)

    def row(self, index: int) -> dict[str, Any]:
        """An utterance as a line of a manifest in ``home`` has it; ``audio_filepath`` is its place in its shard.

        Raises:
            ManifestError: the shard cannot be read, or is not the one that the index is of.
        """
        column = self._columns
        shard = self.home / self.shards[int(np.searchsorted(self.starts, index, side="right")) - 1].name
        key = member_key(index, self._identity(index))
        offset, size = int(column["json_offset"][index]), int(column["json_size"][index])
        try:
            row = dict(orjson.loads(read_member(member_path(shard, offset, size, f"{key}.json"))))
        except StorageError as error:
            raise ManifestError(error.message, error.hint) from error
        except (ValueError, TypeError) as error:
            raise ManifestError(f"{shown(shard)}: {key}.json is not a JSON object ({error})", _AGAIN) from None
        name = key + self._suffixes[int(column["suffix"][index])]
        place = member_path(
            Path(shard.name), int(column["audio_offset"][index]), int(column["audio_size"][index]), name
        )
        return checked_row({**row, "audio_filepath": str(place)}, f"{shown(shard)}: {key}.json")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every utterance, in order; raises as :meth:`row`."""
        return (self.row(index) for index in range(len(self)))

    def __reduce__(self) -> tuple[type["ShardIndex"], tuple[Path]]:
        return ShardIndex, (self.home,)

    def _identity(self, index: int) -> str:
        ends, text = self._columns["id_end"], self._columns["ids"]
        start = int(ends[index - 1]) if index else 0
        return bytes(text[start : int(ends[index])]).decode()

    def _check_shards(self) -> None:
        if is_remote(self.home):
            return
        for shard in self.shards:
            path = self.home / shard.name
            try:
                size = path.stat().st_size
            except OSError as error:
                raise ManifestError(f"{path}: {error.strerror or error}", "Copy the folder of shards whole.") from error
            if size != shard.bytes:
                raise ManifestError(
                    f"{path}: holds {size} bytes, its index says {shard.bytes}", "Copy the folder of shards whole."
                )


def in_shards(name: str) -> list[str]:
    """Every recording of a folder of shards, by its place; none if the name is of something else.

    Raises:
        ManifestError: the index or a shard is not usable.
        StorageError: the store does not answer.
    """
    folder = index_folder(Path(name))
    if folder is None or not objects.exists(folder / INDEX):
        return []
    return [str(folder / row["audio_filepath"]) for row in ShardIndex(folder).rows()]


def write_index(
    path: Path, columns: dict[str, Any], ids: bytes, shards: Sequence[Shard], suffixes: Sequence[str]
) -> None:
    """Write an index; ``columns`` are sequences of equal length by the names of the columns, ``ids`` all ids joined."""
    arrays = {name: np.asarray(columns[name], dtype=kind) for name, kind in _COLUMNS.items()}
    about = {"shards": [asdict(shard) for shard in shards], "suffixes": list(suffixes)}
    save_file({**arrays, "ids": np.frombuffer(ids, dtype=np.uint8)}, path, {FORMAT: json.dumps(about)})


def _mapped(path: Path, folder: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """The columns as they are on disk, and what the header says of the shards."""
    where = shown(folder / INDEX)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", {})
        if FORMAT not in metadata:
            raise ValueError(f"it is not of the format {FORMAT}")
        data = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length)
        columns = {}
        for name, row in header.items():
            start, end = row["data_offsets"]
            columns[name] = np.asarray(data[start:end].view(_TYPES[row["dtype"]]))
        if missing := (_COLUMNS.keys() | {"ids"}) - columns.keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return columns, json.loads(metadata[FORMAT])
    except OSError as error:
        raise ManifestError(f"{where}: {error.strerror or error}", _AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{where}: not an index of shards ({error})", _AGAIN) from None
