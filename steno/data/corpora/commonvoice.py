"""Common Voice: a TSV with ``client_id``, ``path`` and ``sentence``, and the folder ``clips`` beside it.

Its sentences hold stray and doubled quotes (github.com/common-voice/CorporaCreator/issues/108), so tabs alone
part the columns.
"""

from collections.abc import Iterator
from pathlib import Path

from steno import audio
from steno.data.corpora.base import Format, Problem, Row, Wanted
from steno.data.corpora.delimited import Record, first_line, read_text, records
from steno.errors import ManifestError

_COLUMNS = ("client_id", "path", "sentence")


def _tables(source: Path) -> list[Path]:
    candidates = sorted(source.glob("*.tsv")) if source.is_dir() else [source]
    return [path for path in candidates if set(_COLUMNS) <= set(first_line(path).split("\t"))]


def _recognises(source: Path) -> bool:
    return (source.is_dir() or source.suffix.lower() == ".tsv") and bool(_tables(source))


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    tables = _tables(source)
    if not tables:
        raise ManifestError(f"{source}: no Common Voice table there", f"Accepted is {FORMAT.accepts}.")
    if len(tables) > 1:
        raise ManifestError(
            f"{source}: holds {len(tables)} tables: {', '.join(path.name for path in tables)}",
            f"They overlap, so give one of them, e.g.: steno data prepare {tables[0]} --out manifest.jsonl",
        )
    table = tables[0]
    names = first_line(table).split("\t")
    at_client, at_path, at_text = (names.index(name) for name in _COLUMNS)
    for record in records(read_text(table), "\t", table):
        if isinstance(record, Problem):
            yield record
            continue
        if record.line == 1:
            continue
        where = f"{table}:{record.line}"
        # A row may end early, but one that is too long has a tab in its sentence.
        if not max(at_client, at_path, at_text) < len(record.fields) <= len(names):
            yield Problem(where, f"{len(record.fields)} columns, the header has {len(names)}")
            continue
        yield _row(table.parent / "clips", record, where, at_client, at_path, at_text)


def _row(clips: Path, record: Record, where: str, at_client: int, at_path: int, at_text: int) -> Row | Problem:
    name = record.fields[at_path].strip()
    if not name:
        return Problem(where, "no path")
    # The first releases leave the ending out.
    clip = Path(name) if audio.is_audio(Path(name)) else Path(f"{name}.mp3")
    return Row(clip.stem, clips / clip, record.fields[at_text], where, record.fields[at_client].strip() or None)


FORMAT = Format(
    name="commonvoice",
    accepts="a Common Voice TSV (client_id, path, sentence) beside its folder clips",
    recognises=_recognises,
    read=_read,
    own_ids=True,
)
