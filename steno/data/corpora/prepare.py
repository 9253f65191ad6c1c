"""From a corpus to a manifest: durations, normalised texts, and ids that are each there once."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from steno import audio, storage
from steno.data.corpora import Format, Problem, Row, Wanted, find_format
from steno.data.corpora.delimited import is_text
from steno.data.manifest import Utterance, write_manifest
from steno.errors import AudioError, ManifestError
from steno.text import ENGLISH, CharTokenizer, normalize
from steno.verbalize import verbalized

_BATCH = 1024
"""Recordings whose headers are asked for at a time, so that a million of them do not queue up at once."""


@dataclass(frozen=True)
class Prepared:
    """A corpus that was read: its usable utterances by id, and all that was left out."""

    format: str
    utterances: list[Utterance]
    problems: list[Problem]

    @property
    def hours(self) -> float:
        """Hours of usable audio."""
        return sum(utterance.duration for utterance in self.utterances) / 3600

    @property
    def speakers(self) -> set[str]:
        """The speakers that the corpus names."""
        return {utterance.speaker for utterance in self.utterances if utterance.speaker is not None}


def prepare(
    source: Path,
    *,
    format: str | None = None,
    wanted: Wanted = Wanted(),
    alphabet: str | None = ENGLISH,
    spell_out: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Read a corpus, whatever its layout.

    Args:
        source: a folder or a table, on this machine or in a store.
        format: name of the layout; None to find it out.
        wanted: columns of a table, or tiers of annotations, that are named and not found.
        alphabet: characters that transcripts are normalised to; None leaves them as they are.
        spell_out: write numbers and signs in English words before that.
        progress: told the recordings looked at, and all of them.

    Raises:
        ManifestError: the source as a whole cannot be read. What is wrong with one recording is a problem of
            the result instead.
        TextError: the alphabet is not one.
    """
    if alphabet is not None:
        CharTokenizer(alphabet)
    layout, home, items = _read(source, format, wanted)
    rows: list[Row] = []
    problems: list[Problem] = []
    for item in items:
        spelt = _spelt(item, alphabet, spell_out) if isinstance(item, Row) else item
        if isinstance(spelt, Row):
            rows.append(spelt)
        else:
            problems.append(spelt)
    if layout.own_ids:
        rows, doubled = _without_doubles(rows)
        problems += doubled
    else:
        rows = _with_ids(rows, home)
    utterances: list[Utterance] = []
    for done, found in enumerate(_measured(rows), start=1):
        if isinstance(found, Utterance):
            utterances.append(found)
        else:
            problems.append(found)
        progress(done, len(rows))
    utterances.sort(key=lambda utterance: utterance.id)
    return Prepared(layout.name, utterances, problems)


def _read(source: Path, format: str | None, wanted: Wanted) -> tuple[Format, Path, Iterable[Row | Problem]]:
    """The layout of a source, the folder where it begins, and what is in it."""
    if not storage.is_remote(source):
        layout = find_format(source, format, wanted)
        return layout, source if source.is_dir() else source.parent, layout.read(source, wanted)
    with storage.layout(source) as copy:
        try:
            layout = find_format(copy.source, format, wanted)
            items = [_in_store(item, copy) for item in layout.read(copy.source, wanted)]
        except ManifestError as error:
            raise ManifestError(copy.named(error.message), copy.named(error.hint)) from None
        return layout, copy.place(copy.source if copy.source.is_dir() else copy.source.parent), items


def _in_store(item: Row | Problem, copy: storage.Layout) -> Row | Problem:
    where = copy.named(item.where)
    if isinstance(item, Row):
        return replace(item, audio=copy.place(item.audio), where=where)
    return Problem(where, copy.named(item.reason))


def save(prepared: Prepared, out: Path) -> None:
    """Write the manifest.

    Raises:
        ManifestError: nothing is usable, or the file cannot be written.
    """
    if not prepared.utterances:
        raise ManifestError(
            f"nothing usable was found, {len(prepared.problems)} left out",
            f"It was read as {prepared.format}; if it is something else, say so with --format.",
        )
    with _writing(out):
        write_manifest(out, prepared.utterances)


def save_problems(prepared: Prepared, out: Path, shown: int) -> Path | None:
    """List all problems in a file beside the manifest ``out``, if they are more than are shown; its path.

    Raises:
        ManifestError: the file cannot be written.
        StorageError: nor can the object of a store.
    """
    path = out.with_name(f"{out.stem}.left-out.txt")
    text = "".join(f"{problem}\n" for problem in prepared.problems)
    if storage.is_remote(path):
        if len(prepared.problems) <= shown:
            storage.delete(path)
            return None
        storage.write_bytes(path, text.encode())
        return path
    with _writing(path):
        if len(prepared.problems) <= shown:
            path.unlink(missing_ok=True)  # an earlier run's would be wrong now
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ManifestError(f"{path}: cannot be written ({error.strerror or error})", "Give another --out.") from error


def _spelt(row: Row, alphabet: str | None, spell_out: bool) -> Row | Problem:
    text = verbalized(row.text) if spell_out else row.text
    text = normalize(text, alphabet) if alphabet is not None else " ".join(text.split())
    if text:
        return replace(row, text=text)
    reason = f"nothing is left of the transcript {row.text!r}" if row.text.strip() else "the transcript is empty"
    return Problem(row.where, f"{row.id}: {reason}")


def _without_doubles(rows: Iterable[Row]) -> tuple[list[Row], list[Problem]]:
    """Rows whose id is new, and the others as problems."""
    kept: dict[str, Row] = {}
    problems: list[Problem] = []
    for row in rows:
        first = kept.setdefault(row.id, row)
        if first is not row:
            problems.append(Problem(row.where, f"{row.id}: is there already, at {first.where}"))
    return list(kept.values()), problems


def _with_ids(rows: list[Row], home: Path) -> list[Row]:
    """The rows with ids that are each there once: the name, else the path below ``home``, else with a number."""
    names = Counter(row.id for row in rows)
    paths = [row.id if names[row.id] == 1 else _from_path(row.audio, home) for row in rows]
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    result = []
    for row, name in zip(rows, paths, strict=True):
        identifier = name
        while identifier in taken:
            numbers[name] += 1
            identifier = f"{name}-{numbers[name] + 1}"
        taken.add(identifier)
        result.append(replace(row, id=identifier))
    return result


def _from_path(path: Path, home: Path) -> str:
    below = path.relative_to(home) if path.is_relative_to(home) else path
    return "-".join(part for part in below.with_suffix("").parts if part not in ("/", "..", "."))


def _measured(rows: list[Row]) -> Iterator[Utterance | Problem]:
    """Each row with its recording's duration, in the same order; the headers are read side by side."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(rows), _BATCH):
            yield from pool.map(_measure, rows[start : start + _BATCH])


def _measure(row: Row) -> Utterance | Problem:
    if not is_text(f"{row.id}{row.audio}"):
        return Problem(row.where, f"{storage.shown(row.audio)}: the file's name is not UTF-8, rename it")
    try:
        seconds = audio.duration(row.audio)
    except AudioError as error:
        return Problem(row.where, f"{row.id}: {error.message}")
    return Utterance(row.id, row.audio, seconds, row.text, row.speaker)
