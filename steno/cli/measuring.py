"""What `steno evaluate`, `steno compare` and `steno models promote` share: progress, tables, reports."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from steno.errors import StenoError

if TYPE_CHECKING:
    from rich.table import Table

    from steno.data.manifest import Manifest
    from steno.evaluation.bootstrap import SpeakerInterval
    from steno.evaluation.confusions import Confusions
    from steno.evaluation.measure import Evaluation
    from steno.evaluation.normalization import Normalization
    from steno.evaluation.tables import Table as WordTable
    from steno.runtime import Recognizer

_ROWS = 12
"""Lines of a table on the screen; the report and the JSON have all."""


def measure(recognizer: "Recognizer", manifest: "Manifest", model: str, form: "Normalization") -> "Evaluation":
    """Evaluate with a progress bar on a terminal's error output."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from steno.evaluation.measure import evaluate

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(model, total=len(manifest))
        return evaluate(recognizer, manifest, model=model, normalization=form, watch=lambda: progress.advance(task))


def refuse_idle_option(option: str, idle: bool, needs: str) -> None:
    """Refuse an option that could do nothing.

    Raises:
        StenoError: it is idle.
    """
    if idle:
        raise StenoError(f"{option} does nothing without {needs}", f"Leave it out, or give {needs}.")


def refuse_store(path: Path, option: str) -> None:
    """Refuse a place in a store for what is written to this machine only.

    Raises:
        StenoError: it is one.
    """
    from steno.storage import is_remote, shown

    if is_remote(path):
        raise StenoError(
            f"{option} {shown(path)}: is written to a folder of this machine only",
            "Name one, and copy it to the store.",
        )


def write_report(path: Path, html: str) -> None:
    """Write a report and say where it lies.

    Raises:
        StenoError: the file cannot be written.
    """
    refuse_store(path, "report")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise StenoError(f"{path}: cannot be written ({error.strerror or error})") from error
    print(f"report      {path}", file=sys.stderr)


def speaker_line(found: "SpeakerInterval") -> str:
    """The interval over speakers, or why there is none."""
    if found.interval is None:
        return f"no interval over speakers: {found.note}"
    low, high = 100 * found.interval.low, 100 * found.interval.high
    note = f" ({found.note})" if found.note else f", {found.speakers} of them"
    return f"over speakers {low:.1f} % to {high:.1f} %{note}"


def word_tables(tables: "Iterable[WordTable]") -> "Iterator[Table]":
    """Error rates by what the utterances are like."""
    from rich.table import Table

    for one in tables:
        cut = f"; {_ROWS} of {len(one.rows)}" if len(one.rows) > _ROWS else ""
        shown = Table(title=f"{one.title} ({one.note}{cut})", title_justify="left")
        shown.add_column(one.name)
        for column in ("utterances", "words", "WER", "95 % interval"):
            shown.add_column(column, justify="right")
        for row in one.rows[:_ROWS]:
            interval = "–"
            if row.interval:
                interval = f"{100 * row.interval.low:.1f} to {100 * row.interval.high:.1f} %"
            shown.add_row(
                *(row.label, str(row.utterances), str(row.words.reference)),
                *(f"{100 * row.words.rate:.1f} %", interval),
            )
        yield shown


def confusion_tables(found: "Confusions") -> "Iterator[Table]":
    """The most frequent word errors, side by side; nothing where there are none."""
    from itertools import zip_longest

    from rich.table import Table

    if not (found.substituted or found.deleted or found.inserted):
        return
    shown = Table("substituted", "deleted", "inserted", title="Most frequent word errors", title_justify="left")
    rows = zip_longest(
        (f"{one.reference} → {one.hypothesis}  {one.count}" for one in found.substituted[:_ROWS]),
        (f"{one.word}  {one.count} of {one.occurrences}" for one in found.deleted[:_ROWS]),
        (f"{one.word}  {one.count}" for one in found.inserted[:_ROWS]),
        fillvalue="",
    )
    for row in rows:
        shown.add_row(*row)
    yield shown
