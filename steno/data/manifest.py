"""The manifest: one JSON object a line, in NeMo's form, read lazily; or the index of a sharded corpus.

Each line has ``audio_filepath`` (relative ones start at the manifest's folder), ``duration`` in seconds and
``text``, and may have ``id``, ``speaker`` and further keys, which are kept. With ``offset``, in seconds, it is a
part of its recording, and with ``channel``, which counts from 0, one channel of it. Only the position and the
duration of each line stay in memory (12 bytes), so a million utterances open in seconds.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from steno.data.row import MAKE_ONE, checked_row
from steno.data.shards.index import ShardIndex
from steno.data.shards.layout import index_folder
from steno.errors import ManifestError
from steno.fragments import part_of
from steno.storage import absolute, is_remote, local, shown, write_bytes

_KNOWN = frozenset({"audio_filepath", "duration", "text", "id", "speaker", "offset", "channel"})


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording, or a part of one, with its transcript.

    ``audio`` is a file, a place in a store, a place in a shard, or a part of one (:mod:`steno.fragments`);
    ``duration`` is in seconds; ``text`` is None where there is no transcript.
    """

    id: str
    audio: Path
    duration: float
    text: str | None = None
    speaker: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Manifest(Sequence[Utterance]):
    """A manifest file, indexed but not loaded.

    Args:
        path: a JSONL file, or a folder of shards or the index in it.

    Raises:
        ManifestError: the file is missing or empty, or a line is not valid; the line is named. Or a shard is missing.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        folder = index_folder(Path(path))
        self.path = folder or Path(path)
        self._rows: _Lines | ShardIndex = ShardIndex(folder) if folder else _Lines(self.path)
        self.durations: npt.NDArray[np.float32] = self._rows.durations
        self.digest = self._rows.digest

    @property
    def hours(self) -> float:
        """Hours of audio, as the manifest states them."""
        return float(self.durations.sum(dtype=np.float64)) / 3600

    @property
    def shard_starts(self) -> npt.NDArray[np.int64] | None:
        """Where each shard's utterances begin, and the end of the last: (shards + 1,). None without shards."""
        return self._rows.starts if isinstance(self._rows, ShardIndex) else None

    def __len__(self) -> int:
        return len(self.durations)

    def __getitem__(self, index: int) -> Utterance:  # type: ignore[override]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return _utterance(self._rows.row(index % len(self)), self._rows.home)

    def __iter__(self) -> Iterator[Utterance]:
        return (_utterance(row, self._rows.home) for row in self._rows.rows())


class _Lines:
    """The lines of a manifest file: the position and the duration of each."""

    def __init__(self, path: Path) -> None:
        self._path, self.home, self._local = path, path.parent, local(path, fresh=True)
        self._file: BinaryIO | None = None
        offsets, durations = array("q"), array("f")
        digest = hashlib.sha256()
        for number, offset, line in _lines(self._local):
            row = _parse(line, path, number)
            offsets.append(offset)
            durations.append(row["duration"])
            digest.update(line)
        if not offsets:
            raise ManifestError(f"{shown(path)}: the manifest has no utterances", MAKE_ONE)
        self._offsets: npt.NDArray[np.int64] = np.frombuffer(offsets, dtype=np.int64)
        self.durations: npt.NDArray[np.float32] = np.frombuffer(durations, dtype=np.float32)
        self.digest = digest.hexdigest()[:16]

    def row(self, index: int) -> dict[str, Any]:
        if self._file is None:
            self._file = self._local.open("rb")
        self._file.seek(int(self._offsets[index]))
        return _parse(self._file.readline(), self._path, None)

    def rows(self) -> Iterator[dict[str, Any]]:
        return (_parse(line, self._path, number) for number, _, line in _lines(self._local))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


def read_rows(path: str | PathLike[str]) -> Iterator[tuple[int, Utterance | ManifestError]]:
    """Every line of a manifest with its number: the utterance, or the error that the line is.

    Raises:
        ManifestError: the file itself cannot be read.
    """
    path = Path(path)
    if folder := index_folder(path):
        index = ShardIndex(folder)
        for number in range(len(index)):
            try:
                yield number + 1, _utterance(index.row(number), folder)
            except ManifestError as error:
                yield number + 1, error
        return
    for number, _, line in _lines(local(path, fresh=True)):
        try:
            yield number, _utterance(_parse(line, path, number), path.parent)
        except ManifestError as error:
            yield number, error


def count_rows(path: str | PathLike[str]) -> int:
    """The lines of a manifest, or the utterances of a sharded corpus.

    Raises:
        ManifestError: it cannot be read.
    """
    folder = index_folder(Path(path))
    if folder:
        return len(ShardIndex(folder))
    return max((number for number, _, _ in _lines(local(path, fresh=True))), default=0)


def write_manifest(path: str | PathLike[str], utterances: Iterable[Utterance]) -> int:
    """Write a manifest and return its number of utterances.

    Recordings below the manifest's folder are written relative to it, so that the folder can be moved; all
    others absolute. The file, or the object of a store, appears whole or not at all.

    Raises:
        ManifestError: JSON cannot hold an utterance, such as a file name that is not UTF-8.
        StorageError: the store cannot be written to.
    """
    path = Path(path)
    if is_remote(path):
        rows = [_line(utterance, path.parent) for utterance in utterances]
        write_bytes(path, b"".join(rows))
        return len(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    home = path.parent.resolve()
    partial = path.with_name(path.name + ".part")
    count = 0
    try:
        with partial.open("wb") as out:
            for utterance in utterances:
                out.write(_line(utterance, home))
                count += 1
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _line(utterance: Utterance, home: Path) -> bytes:
    try:
        return orjson.dumps(_row(utterance, home), option=orjson.OPT_APPEND_NEWLINE)
    except TypeError as error:
        raise ManifestError(
            f"utterance {utterance.id!r}: cannot be written to a manifest ({error})",
            "Names and texts must be Unicode: rename the file.",
        ) from None


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Number (from 1), byte offset and bytes of each line that is not blank."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror or error}", MAKE_ONE) from error
    with file:
        offset = 0
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, offset, line
                offset += len(line)
        except OSError as error:
            raise ManifestError(f"{path}: {error.strerror or error}") from error


def _parse(line: bytes, path: Path, number: int | None) -> dict[str, Any]:
    where = f"{shown(path)}:{number}" if number else shown(path)
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ManifestError(f"{where}: not valid JSON ({error})", "Each line is one JSON object.") from None
    return checked_row(row, where)


def _utterance(row: dict[str, Any], home: Path) -> Utterance:
    part, duration = part_of(row["audio_filepath"]), float(row["duration"])
    if (offset := row.get("offset")) is not None:
        part = part._replace(start=float(offset), end=float(offset) + duration)
    if (channel := row.get("channel")) is not None:
        part = part._replace(channel=channel)
    audio, speaker = part.path, row.get("speaker")
    return Utterance(
        id=str(row.get("id") or part.name),
        audio=audio if audio.is_absolute() or is_remote(audio) else home / audio,
        duration=duration,
        text=row.get("text"),
        speaker=None if speaker is None else str(speaker),
        extra={key: value for key, value in row.items() if key not in _KNOWN},
    )


def _row(utterance: Utterance, home: Path) -> dict[str, Any]:
    part = part_of(utterance.audio)
    audio = absolute(part.recording)
    row: dict[str, Any] = {
        "audio_filepath": str(audio.relative_to(home)) if audio.is_relative_to(home) else shown(audio),
        "duration": round(utterance.duration, 6),
        "id": utterance.id,
    }
    if part.start or part.end is not None:
        row["offset"] = round(part.start, 6)
    if part.channel is not None:
        row["channel"] = part.channel
    if utterance.text is not None:
        row["text"] = utterance.text
    if utterance.speaker is not None:
        row["speaker"] = utterance.speaker
    return row | utterance.extra
