"""From parts to the tables that were asked for: one of results, one of failures."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from steno import storage
from steno.batch.parts import Parts
from steno.batch.table import FAILED, load, results_schema
from steno.errors import StenoError
from steno.storage import objects
from steno.storage.location import parse

SUFFIXES = (".parquet", ".jsonl")
_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Counts:
    """Recordings that have a transcript and that have none, and seconds of the audio of the former."""

    done: int
    failed: int
    seconds: float


def check_target(out: Path) -> None:
    """Refuse a file of another kind.

    Raises:
        StenoError: naming the kinds.
    """
    if out.suffix not in SUFFIXES:
        raise StenoError(f"{storage.shown(out)}: a table ends in {' or '.join(SUFFIXES)}", "Name one with --to.")


def failed_path(out: Path) -> Path:
    """Where the recordings that failed are listed: ``texts.failed.jsonl`` for ``texts.jsonl``."""
    return out.with_name(f"{out.stem}.failed{out.suffix}")


def parts_path(out: Path) -> Path:
    """Where the parts are until the tables are written."""
    return out.with_name(f"{out.name}.parts")


def merge(parts: Parts, names: Sequence[str], out: Path, nbest: int) -> Counts:
    """Write the tables from the parts, in the order of their names; the results last.

    Raises:
        StenoError: a part is damaged, or a table cannot be written.
    """
    schema = results_schema(nbest)
    done = failed = 0
    seconds = 0.0
    try:
        with _target(out) as results, _target(failed_path(out)) as failures:  # left in turn: results last
            bad, good = _writer(failures, out, FAILED), _writer(results, out, schema)
            for table in _tables(parts, names):
                is_bad = pc.is_valid(table["error"])
                ok, wrong = table.filter(pc.invert(is_bad)), table.filter(is_bad)
                good.write(ok.select(schema.names))
                bad.write(wrong.select(FAILED.names))
                done, failed = done + ok.num_rows, failed + wrong.num_rows
                seconds += pc.sum(ok["duration"]).as_py() or 0.0
            good.close()
            bad.close()
    except OSError as error:
        raise StenoError(
            f"{storage.shown(out)}: cannot be written ({error.strerror or error})",
            "Every part is kept; the same command tries again.",
        ) from error
    if not failed:
        _remove(failed_path(out))
    return Counts(done, failed, seconds)


def _tables(parts: Parts, names: Iterable[str]) -> Iterator[pa.Table]:
    """The parts, several at a time, so that tables are not made of crumbs."""
    waiting: list[pa.Table] = []
    rows = 0
    for name in names:
        try:
            waiting.append(load(parts.read(name)))
        except ValueError as error:
            raise StenoError(
                f"{parts.place}/{name}: is damaged ({error})", "Remove it and give the same command again."
            ) from error
        rows += waiting[-1].num_rows
        if rows >= _ROWS:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


class _Writer(Protocol):
    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


class _JsonLines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._file.flush()


def _writer(file: BinaryIO, out: Path, schema: pa.Schema) -> _Writer:
    writer: _Writer = _JsonLines(file) if out.suffix == ".jsonl" else pq.ParquetWriter(file, schema, compression="zstd")
    return writer


@contextmanager
def _target(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which gets its place, on disk or in a store, when the context ends well."""
    if storage.is_remote(path):
        with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
            local = Path(scratch, path.name)
            with local.open("wb") as file:
                yield file
            objects.upload(local, parse(path))
        return
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if storage.is_remote(path):
        storage.delete(path)
    else:
        path.unlink(missing_ok=True)
