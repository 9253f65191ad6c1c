"""LJSpeech: ``metadata.csv`` with rows ``ID|text|normalised text`` and no header, and the folder ``wavs``."""

from collections.abc import Iterator
from pathlib import Path

from steno import audio
from steno.data.corpora.base import NO_RECORDING, NO_TRANSCRIPT, Format, Problem, Row, Wanted, recordings
from steno.data.corpora.delimited import Record, read_text, records
from steno.errors import ManifestError

_NAME = "metadata.csv"


def _table(source: Path) -> Path:
    return source / _NAME if source.is_dir() else source


def _recognises(source: Path) -> bool:
    table = _table(source)
    return table.name == _NAME and table.is_file() and (table.parent / "wavs").is_dir()


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    table = _table(source)
    wavs = table.parent / "wavs"
    if not wavs.is_dir():
        raise ManifestError(f"{wavs}: no such folder", f"Accepted is {FORMAT.accepts}.")
    found, problems = recordings(wavs, [path.name for path in wavs.iterdir()])
    yield from problems
    for record in records(read_text(table), "|", table):
        yield record if isinstance(record, Problem) else _row(table, record, found)
    for path in sorted(found.values()):
        yield Problem(str(path), NO_TRANSCRIPT)


def _row(table: Path, record: Record, found: dict[str, Path]) -> Row | Problem:
    where, name = f"{table}:{record.line}", record.fields[0].strip()
    if len(record.fields) not in (2, 3):
        return Problem(where, f"{len(record.fields)} columns, not ID|text or ID|text|normalised text")
    identifier = Path(name).stem if audio.is_audio(Path(name)) else name
    recording = found.pop(identifier, None)
    if recording is None:
        return Problem(where, f"{identifier}: {NO_RECORDING}")
    # The last column has numbers and abbreviations spelt out, as they were spoken.
    spoken = record.fields[-1].strip() or record.fields[1]
    return Row(identifier, recording, spoken, where)


FORMAT = Format(
    name="ljspeech",
    accepts="LJSpeech's metadata.csv (ID|text|normalised text, no header) beside its folder wavs",
    recognises=_recognises,
    read=_read,
    own_ids=True,
)
