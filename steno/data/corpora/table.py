"""CSV and TSV files with a header, a column of paths and a column of texts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from steno.data.corpora import commonvoice
from steno.data.corpora.base import Columns, Format, Problem, Row
from steno.data.corpora.delimited import Record, delimiter_of, first_line, read_text, records, split
from steno.errors import ManifestError
from steno.storage import is_remote

_IN_FOLDER = frozenset({".csv", ".tsv"})
_ALONE = _IN_FOLDER | {".txt", ".tab"}
PATHS = (
    *("path", "audio", "file", "audio_filepath", "wav_filename", "filename", "file_name", "audio_path"),
    *("audio_file", "filepath", "file_path", "wav", "wav_path", "wav_file", "clip", "recording"),
)
TEXTS = ("text", "transcript", "sentence", "transcription", "transcripts", "utterance", "target")
IDS = ("id", "utterance_id", "utt_id", "uttid")
PIECES = ({"start", "end"}, {"start_time", "end_time"}, {"begin", "end"}, {"onset", "offset"}, {"offset", "duration"})
"""Columns of tables whose rows are pieces of recordings."""
SPEAKERS = ("speaker", "speaker_id", "speaker_name", "spk", "spk_id", "client_id")


def _tables(source: Path) -> list[Path]:
    """The table itself, or those of the folder that have a header we know."""
    if not source.is_dir():
        return [source]
    return [path for path in sorted(source.iterdir()) if path.suffix.lower() in _IN_FOLDER and _known(path)]


def _known(path: Path) -> bool:
    header = first_line(path)
    names = [name.strip().casefold() for name in split(header, delimiter_of(header))]
    return any(name in PATHS for name in names) and any(name in TEXTS for name in names)


def _recognises(source: Path) -> bool:
    if source.is_file() and source.suffix.lower() not in _ALONE:
        return False
    return any(map(_known, _tables(source))) and not commonvoice.FORMAT.recognises(source)


def _read(source: Path, columns: Columns) -> Iterator[Row | Problem]:
    tables = _tables(source)
    if len(tables) != 1:
        names = f": {', '.join(path.name for path in tables)}" if tables else ""
        raise ManifestError(f"{source}: holds {len(tables)} tables, not one{names}", "Give the file itself.")
    path = tables[0]
    text = read_text(path)
    rows = records(text, delimiter_of(text.split("\n", 1)[0]), path)
    header = next((row for row in rows if isinstance(row, Record)), None)
    if header is None:
        raise ManifestError(f"{path}: the table is empty", "Its first line names the columns.")
    columns_there = [name.strip() for name in header.fields]
    there = {name.casefold() for name in columns_there}
    if piece := next((names for names in PIECES if names <= there), None):
        raise ManifestError(
            f"{path}:1: the columns {' and '.join(sorted(piece))} say that its rows are pieces of recordings",
            "Steno takes whole recordings: cut the pieces out, as with ffmpeg -ss START -to END, and name their files. "
            "If the rows are whole recordings, take these columns out.",
        )
    at_path = _column(path, columns_there, columns.path, PATHS, "--path-column", "paths")
    at_text = _column(path, columns_there, columns.text, TEXTS, "--text-column", "transcripts")
    at_id, at_speaker = _optional(columns_there, IDS), _optional(columns_there, SPEAKERS)
    for row in rows:
        yield (
            row
            if isinstance(row, Problem)
            else _row(path, row, len(columns_there), at_path, at_text, at_id, at_speaker)
        )


def _row(
    path: Path, record: Record, width: int, at_path: int, at_text: int, at_id: int | None, at_speaker: int | None
) -> Row | Problem:
    where, fields = f"{path}:{record.line}", [field.strip() for field in record.fields]
    if len(fields) != width:
        return Problem(where, f"{len(fields)} columns, the header has {width}")
    if not fields[at_path]:
        return Problem(where, "no path")
    recording = Path(fields[at_path]).expanduser()
    return Row(
        id=(fields[at_id] if at_id is not None else "") or recording.stem,
        audio=recording if recording.is_absolute() or is_remote(recording) else path.parent / recording,
        text=fields[at_text],
        where=where,
        speaker=(fields[at_speaker] if at_speaker is not None else "") or None,
    )


def _column(path: Path, names: list[str], wanted: str | None, usual: Sequence[str], flag: str, what: str) -> int:
    """Index of a column, by the user's name or by its usual ones."""
    lower = [name.casefold() for name in names]
    if wanted is not None:
        if wanted.strip().casefold() in lower:
            return lower.index(wanted.strip().casefold())
        raise ManifestError(f"{path}:1: no column {wanted!r}", f"The columns are: {', '.join(names)}.")
    found = [index for index, name in enumerate(lower) if name in usual]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(names[index] for index in found)
        raise ManifestError(f"{path}:1: several columns may hold the {what}: {several}", f"Say which with {flag}.")
    raise ManifestError(
        f"{path}:1: no column of {what} among: {', '.join(names)}",
        f"Name it with {flag}. The first line of a table names its columns; usual are {', '.join(usual)}.",
    )


def _optional(names: list[str], usual: Sequence[str]) -> int | None:
    lower = [name.casefold() for name in names]
    return next((lower.index(name) for name in usual if name in lower), None)


FORMAT = Format(
    name="table",
    accepts="a CSV or TSV file whose first line names a column of paths and one of texts, or the folder of one",
    recognises=_recognises,
    read=_read,
)
