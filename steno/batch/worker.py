"""What an actor does: it holds one recogniser, and turns recordings into a part of the table."""

import hashlib
import tempfile
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from steno import storage
from steno.batch import table
from steno.batch.source import Item
from steno.decoding.hotwords import parse_hotwords
from steno.decoding.options import DecodingOptions
from steno.errors import StenoError
from steno.fragments import part_of
from steno.runtime import Recognizer
from steno.runtime.files import transcribe_files
from steno.runtime.folder import CONFIG, ONNX, digest
from steno.storage.members import is_member

AHEAD = 4
"""Recordings of a store that are fetched while others are transcribed."""


@dataclass(frozen=True)
class Model:
    """A model folder and how to decode with it, as it is sent to the actors.

    Args:
        folder: where it is on this machine.
        options: what is to be done otherwise than the folder says.
        files: contents by name, for machines that do not have the folder.
    """

    folder: str
    options: DecodingOptions
    files: Mapping[str, bytes] | None = None

    def load(self) -> Recognizer:
        """The recogniser, on one thread.

        Raises:
            StenoError: as :class:`Recognizer`.
        """
        if self.files is None:
            return Recognizer(self.folder, threads=1, decoding=self.options)
        scratch = tempfile.TemporaryDirectory(prefix="steno-")
        for name, data in self.files.items():
            Path(scratch.name, name).write_bytes(data)
        given = self.options.lm
        named = self.options
        if given is not None and given in self.files:
            named = replace(named, lm=str(Path(scratch.name, given)))
        recognizer = Recognizer(scratch.name, threads=1, decoding=named)
        weakref.finalize(recognizer, scratch.cleanup)  # some files are read when they are first needed
        return recognizer


def describe(folder: Path, options: DecodingOptions) -> tuple[Model, str, dict[str, Any]]:
    """The model to send, what it is called in the table, and its decoding as plain values; both are loaded once.

    Hotwords are read here, as another machine does not have their file.

    Raises:
        StenoError: as :class:`Recognizer`.
    """
    recognizer = Recognizer(folder, threads=1, decoding=options)
    words = parse_hotwords(options.hotwords, recognizer.tokenizer.alphabet)
    options = replace(options, hotwords=tuple(f"{word.phrase}:{word.boost!r}" for word in words))
    if options.lm not in (None, "none"):
        options = replace(options, lm=str(Path(str(options.lm)).resolve()))
    settled = recognizer.decoding.model_dump(mode="json") | {"hotwords": options.hotwords, "nbest": options.nbest}
    if recognizer.decoding.lm is not None:
        settled["lm"] = digest(folder / recognizer.decoding.lm if options.lm is None else Path(str(options.lm)))
    config = recognizer.config
    named = f"{config.name} {config.files[ONNX][:12]}"
    return Model(str(folder.resolve()), options), named, settled


def packed(model: Model) -> Model:
    """The model with its files, for machines that do not have the folder."""
    folder = Path(model.folder)
    options, decoding = model.options, model.load().decoding
    files = {}
    if decoding.lm is not None and options.lm is not None:
        lm = Path(decoding.lm)
        own = f"given-{hashlib.sha256(lm.name.encode()).hexdigest()[:8]}{lm.suffix}"
        files[own] = lm.read_bytes()
        options, decoding = replace(options, lm=own), decoding.model_copy(update={"lm": None})
    files |= {name: (folder / name).read_bytes() for name in (CONFIG, ONNX, *decoding.files)}
    return Model(model.folder, options, files)


class Transcriber:
    """A recogniser that takes the recordings of a part.

    Args:
        model: what to load.
        name: what the table calls it.
    """

    def __init__(self, model: Model, name: str) -> None:
        self._recognizer, self._name, self._nbest = model.load(), name, model.options.nbest

    def __call__(self, items: Sequence[Item]) -> bytes:
        """The part, as Parquet; a recording that cannot be read is a row of it."""
        sources = _fetched_ahead([Path(item.path) for item in items])
        results = transcribe_files(self._recognizer, sources)
        rows = (table.row(item, result, self._name) for item, result in zip(items, results, strict=True))
        return table.dump(rows, self._nbest)


def _fetched_ahead(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths; those in a store are in the cache by then, or fail again, with their reason, when they are opened."""
    if not any(storage.is_remote(path) for path in paths):
        yield from paths
        return
    with ThreadPoolExecutor(AHEAD) as pool:
        waiting: deque[tuple[Path, Future[None]]] = deque()
        for path in paths:
            waiting.append((path, pool.submit(_fetch, path)))
            if len(waiting) > AHEAD:
                yield _arrived(*waiting.popleft())
        while waiting:
            yield _arrived(*waiting.popleft())


def _fetch(path: Path) -> None:
    recording = part_of(path).recording
    if storage.is_remote(recording) and not is_member(recording):
        with suppress(StenoError):
            storage.local(recording)


def _arrived(path: Path, fetched: "Future[None]") -> Path:
    fetched.result()
    return path


def as_rows(items: Iterable[Item]) -> list[dict[str, str]]:
    """Recordings as plain values, to be sent to another machine."""
    return [asdict(item) for item in items]
