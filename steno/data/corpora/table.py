"""CSV and TSV files with a header, a column of paths and a column of texts.

With columns of times, or of a channel, a row is a part of its recording.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from steno.data.corpora import commonvoice
from steno.data.corpora.base import Format, Problem, Row, Wanted
from steno.data.corpora.delimited import Record, delimiter_of, first_line, read_text, records, split
from steno.data.corpora.times import PartError, channel, part, seconds
from steno.errors import ManifestError
from steno.fragments import Part
from steno.storage import is_remote

_IN_FOLDER = frozenset({".csv", ".tsv"})
_ALONE = _IN_FOLDER | {".txt", ".tab"}
PATHS = (
    *("path", "audio", "file", "audio_filepath", "wav_filename", "filename", "file_name", "audio_path"),
    *("audio_file", "filepath", "file_path", "wav", "wav_path", "wav_file", "clip", "recording"),
)
TEXTS = ("text", "transcript", "sentence", "transcription", "transcripts", "utterance", "target")
IDS = ("id", "utterance_id", "utt_id", "uttid")
STARTS = ("start", "start_time", "begin", "begin_time", "onset", "start_ms", "begin_ms")
ENDS = ("end", "end_time", "stop", "end_ms", "stop_ms")
LENGTHS = ("duration", "length", "duration_ms", "length_ms")
CHANNELS = ("channel",)
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


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    tables = _tables(source)
    if len(tables) != 1:
        there = f": {', '.join(path.name for path in tables)}" if tables else ""
        raise ManifestError(f"{source}: holds {len(tables)} tables, not one{there}", "Give the file itself.")
    path = tables[0]
    text = read_text(path)
    rows = records(text, delimiter_of(text.split("\n", 1)[0]), path)
    header = next((row for row in rows if isinstance(row, Record)), None)
    if header is None:
        raise ManifestError(f"{path}: the table is empty", "Its first line names the columns.")
    names = [name.strip() for name in header.fields]
    places = _Places(
        width=len(names),
        path=_column(path, names, wanted.path, PATHS, "--path-column", "paths"),
        text=_column(path, names, wanted.text, TEXTS, "--text-column", "transcripts"),
        id=_optional(names, IDS),
        speaker=_optional(names, SPEAKERS),
        times=_times(path, names),
        channel=_optional(names, CHANNELS),
    )
    for row in rows:
        yield row if isinstance(row, Problem) else _row(path, row, places)


@dataclass(frozen=True)
class _Times:
    """Wanted that say which part of its recording a row is: ``stop`` is its end, or its length."""

    start: int
    stop: int
    is_length: bool
    start_scale: float
    stop_scale: float

    def of(self, fields: list[str]) -> tuple[float, float]:
        """Seconds at which the part begins and ends."""
        start = seconds(fields[self.start], self.start_scale)
        stop = seconds(fields[self.stop], self.stop_scale)
        return start, start + stop if self.is_length else stop


@dataclass(frozen=True)
class _Places:
    """Which column holds what, and how many there are."""

    width: int
    path: int
    text: int
    id: int | None
    speaker: int | None
    times: _Times | None
    channel: int | None


def _times(path: Path, names: list[str]) -> _Times | None:
    """The columns of times; None where a row is a whole recording.

    ``offset`` is where a part begins, or where it ends if there is an ``onset``.
    """
    there = {name.casefold() for name in names}
    starts, ends = (STARTS, (*ENDS, "offset")) if "onset" in there else ((*STARTS, "offset"), ENDS)
    start, end, length = (_optional(names, usual) for usual in (starts, ends, LENGTHS))
    if start is None and end is None:
        return None
    stop = length if end is None else end
    if start is None:
        raise _lacks(path, f"end of parts, but none for their begin: {', '.join(starts)}")
    if stop is None:
        raise _lacks(path, f"begin of parts, but none for their end or length: {', '.join((*ENDS, *LENGTHS))}")
    scales = [0.001 if names[at].casefold().endswith("_ms") else 1.0 for at in (start, stop)]
    return _Times(start, stop, end is None, *scales)


def _lacks(path: Path, what: str) -> ManifestError:
    return ManifestError(
        f"{path}:1: has a column for the {what}", "If the rows are whole recordings, take the column of times out."
    )


def _row(path: Path, record: Record, places: _Places) -> Row | Problem:
    where, fields = f"{path}:{record.line}", [field.strip() for field in record.fields]
    if len(fields) != places.width:
        return Problem(where, f"{len(fields)} columns, the header has {places.width}")
    if not fields[places.path]:
        return Problem(where, "no path")
    recording = Path(fields[places.path]).expanduser()
    if not (recording.is_absolute() or is_remote(recording)):
        recording = path.parent / recording
    try:
        spoken = _part(recording, fields, places)
    except PartError as error:
        return Problem(where, str(error))
    return Row(
        id=_at(fields, places.id) or spoken.name,
        audio=spoken.path,
        text=fields[places.text],
        where=where,
        speaker=_at(fields, places.speaker) or None,
    )


def _part(recording: Path, fields: list[str], places: _Places) -> Part:
    """What of its recording a row is."""
    start, end = places.times.of(fields) if places.times is not None else (0.0, None)
    text = _at(fields, places.channel)
    return part(recording, start, end, channel(text) if text else None)


def _at(fields: list[str], place: int | None) -> str:
    return "" if place is None else fields[place]


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
    accepts="a CSV or TSV file whose first line names a column of paths and one of texts, and maybe of times, or the "
    "folder of one",
    recognises=_recognises,
    read=_read,
)
