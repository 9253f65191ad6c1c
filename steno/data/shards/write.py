"""From a manifest to shards: a folder of tar files in WebDataset's form, with an index, on disk or in a store."""

import contextlib
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from steno import storage
from steno.data.check.workers import map_in_order
from steno.data.manifest import Manifest, Utterance
from steno.data.shards.encode import Encoding, Packed, crashed, pack
from steno.data.shards.index import Shard, write_index
from steno.data.shards.layout import INDEX, LEFT_OUT, is_ours, member_key, shard_name
from steno.data.shards.tar import END, TarWriter, padded
from steno.errors import ManifestError, StorageError
from steno.storage import objects, shown
from steno.storage.location import parse

MOST_PROBLEMS = 1000
"""Recordings that could not be used and are listed; the others are counted."""

_SHUFFLE_SEED = 1


@dataclass
class Sharded:
    """What was written, and the first of the recordings that were left out, with their reasons."""

    folder: Path
    utterances: int = 0
    seconds: float = 0.0
    bytes: int = 0
    shards: int = 0
    left_out: int = 0
    problems: list[str] = field(default_factory=list)


def shard(
    manifest: Manifest,
    folder: Path,
    *,
    size: int = 512_000_000,
    encoding: Encoding = "as-is",
    shuffle: bool = False,
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Sharded:
    """Write the utterances of a manifest as shards of at most ``size`` bytes. The index comes last.

    Args:
        manifest: what to write; may itself be a sharded corpus.
        folder: for the shards, on this machine or in a store.
        encoding: of the recordings: their files' own bytes, or written anew.
        shuffle: mix the order, always in the same way, for corpora that are sorted.
        workers: processes that encode; 0: this one.
        overwrite: replace the shards that are in the folder.
        progress: told how many utterances are done.

    Raises:
        ManifestError: the folder holds something, or no recording could be read.
        StorageError: the store does not answer, or the disk is full.
    """
    _make_room(folder, overwrite)
    done = Sharded(folder)
    order = np.random.default_rng(_SHUFFLE_SEED).permutation(len(manifest)).tolist() if shuffle else None
    utterances: Iterable[Utterance] = (manifest[index] for index in order) if order else manifest
    packed = map_in_order(partial(pack, encoding=encoding), utterances, workers, crashed)
    with ExitStack() as stack:
        scratch = folder
        if storage.is_remote(folder):
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steno-")))
        try:
            _write_all(_usable(packed, done, progress), done, scratch, size)
            if done.left_out:
                (scratch / LEFT_OUT).write_text("".join(f"{line}\n" for line in done.problems), encoding="utf-8")
                _deliver(scratch / LEFT_OUT, folder)
            _deliver(scratch / INDEX, folder)
        except OSError as error:
            raise StorageError(
                f"{scratch}: cannot be written ({error.strerror or error})",
                "Make room, and write the shards again with --overwrite.",
            ) from error
    return done


def _write_all(packed: Iterator[Packed], done: Sharded, scratch: Path, size: int) -> None:
    columns = _Columns()
    shards: list[Shard] = []
    waiting = next(packed, None)
    while waiting is not None:
        first = len(columns)
        with TarWriter(scratch / shard_name(len(shards))) as tar:
            while waiting is not None and (len(columns) == first or tar.size + _room(waiting) <= size):
                columns.add(tar, waiting)
                done.seconds += waiting.utterance.duration
                waiting = next(packed, None)
        shards.append(Shard(tar.path.name, tar.size, tar.sha256, len(columns) - first))
        done.bytes += tar.size
        _deliver(tar.path, done.folder)
    if not shards:
        reasons = "\n  ".join(done.problems[:5])
        raise ManifestError(f"{shown(done.folder)}: no recording could be read", reasons)
    done.utterances, done.shards = len(columns), len(shards)
    columns.write(scratch / INDEX, shards)


def _usable(packed: Iterable[Packed], done: Sharded, progress: Callable[[int], None]) -> Iterator[Packed]:
    """Those that could be read; the others are listed."""
    for number, one in enumerate(packed, start=1):
        progress(number)
        if not one.problem:
            yield one
            continue
        done.left_out += 1
        if len(done.problems) < MOST_PROBLEMS:
            done.problems.append(f"{one.utterance.id}: {one.problem}")


class _Columns:
    """The index as it grows: some 40 bytes an utterance, and its id."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._suffixes: dict[str, int] = {}
        self._arrays = {"duration": array("f")} | {
            name: array("q") for name in ("audio_offset", "audio_size", "json_offset", "json_size", "suffix", "id_end")
        }

    def __len__(self) -> int:
        return len(self._arrays["duration"])

    def add(self, tar: TarWriter, packed: Packed) -> None:
        """Write an utterance to a tar file, and where it is to the columns."""
        utterance = packed.utterance
        key, about = member_key(len(self), utterance.id), _json(utterance)
        suffix = self._suffixes.setdefault(packed.suffix, len(self._suffixes))
        if suffix > np.iinfo(np.uint8).max:
            raise ManifestError(f"{utterance.id}: {packed.suffix!r} is one ending of file names too many (256)")
        self._ids += utterance.id.encode()
        row: dict[str, Any] = {
            "duration": utterance.duration,
            "json_offset": tar.add(f"{key}.json", about),
            "json_size": len(about),
            "audio_offset": tar.add(key + packed.suffix, packed.data),
            "audio_size": len(packed.data),
            "suffix": suffix,
            "id_end": len(self._ids),
        }
        for name, value in row.items():
            self._arrays[name].append(value)

    def write(self, path: Path, shards: Sequence[Shard]) -> None:
        partial_file = path.with_name(path.name + ".part")
        write_index(partial_file, self._arrays, bytes(self._ids), shards, list(self._suffixes))
        partial_file.replace(path)


def _json(utterance: Utterance) -> bytes:
    row: dict[str, Any] = {"id": utterance.id, "duration": round(utterance.duration, 6)}
    if utterance.text is not None:
        row["text"] = utterance.text
    if utterance.speaker is not None:
        row["speaker"] = utterance.speaker
    return orjson.dumps(row | utterance.extra)


def _room(packed: Packed) -> int:
    return padded(len(packed.data)) + padded(len(_json(packed.utterance))) + END


def _deliver(path: Path, folder: Path) -> None:
    """Send a file to its store, and remove it here; what belongs on this machine has its place already."""
    if storage.is_remote(folder):
        objects.upload(path, parse(folder / path.name))
        path.unlink()


def _make_room(folder: Path, overwrite: bool) -> None:
    """Make sure that the folder is empty; the index, which says that there are shards, goes first."""
    remote = storage.is_remote(folder)
    try:
        if remote:
            names = list(objects.below(parse(folder)))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise ManifestError(f"{folder}: {error.strerror or error}", "Give another folder with --to.") from error
    ours = all(map(is_ours, names))
    if names and not (ours and overwrite):
        raise ManifestError(
            f"{shown(folder)}: there {'are shards' if ours else 'is something else'} in this folder",
            "Replace them with --overwrite, or give another folder with --to."
            if ours
            else "Give another folder with --to.",
        )
    for name in sorted(names, key=lambda name: name != INDEX):
        if remote:
            storage.delete(folder / name)
        else:
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()
