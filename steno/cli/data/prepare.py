"""`steno data prepare`: a corpus of any known layout becomes a manifest."""

import shlex
from pathlib import Path

import typer

_SHOWN = 20


def prepare(
    source: Path = typer.Argument(help="A folder or a table of recordings with transcripts, also s3://… or az://…."),
    out: Path = typer.Option(..., help="The manifest to write (JSONL), also s3://… or az://…."),
    format: str | None = typer.Option(
        None,
        help="librispeech, commonvoice, ljspeech, table, folder, subtitles, labels, kaldi, stm; found out if left out.",
    ),
    text_column: str | None = typer.Option(None, help="Column of a table that holds the transcripts."),
    path_column: str | None = typer.Option(None, help="Column of a table that holds the recordings' paths."),
    tier: list[str] = typer.Option(
        [], help="A tier of Praat's or ELAN's annotations that holds utterances; more may be named."
    ),
    alphabet: str | None = typer.Option(
        None, help="Characters that transcripts are normalised to; English letters, apostrophe and space if left out."
    ),
    spell_out: bool = typer.Option(
        False, "--spell-out", help="Write numbers and signs as English says them: five dollars, nineteen eighty four."
    ),
    normalize: bool = typer.Option(True, help="Bring transcripts to the alphabet's case, without punctuation."),
) -> None:
    """Write the manifest of a corpus; what cannot be used is listed and left out."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    from steno.data.corpora import Wanted
    from steno.data.corpora.prepare import prepare as read_corpus
    from steno.data.corpora.prepare import save, save_problems
    from steno.errors import StenoError
    from steno.storage import shown
    from steno.text import ENGLISH

    if alphabet is not None and not normalize:
        raise StenoError("--alphabet does not go with --no-normalize", "Without normalising, no alphabet is used.")
    columns = TextColumn("recordings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("recordings", total=None)
        prepared = read_corpus(
            source,
            format=format,
            wanted=Wanted(path=path_column, text=text_column, tiers=tuple(tier)),
            alphabet=(ENGLISH if alphabet is None else alphabet) if normalize else None,
            spell_out=spell_out,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    problems = prepared.problems
    for problem in problems[:_SHOWN]:
        typer.echo(f"left out: {problem}", err=True)
    if rest := save_problems(prepared, out, _SHOWN):
        typer.echo(f"left out: {len(problems) - _SHOWN} more; all of them are in {shown(rest)}", err=True)
    save(prepared, out)
    table = Table(show_header=False)
    table.add_row("format", prepared.format)
    table.add_row("utterances", str(len(prepared.utterances)))
    table.add_row("hours", f"{prepared.hours:.2f}")
    table.add_row("speakers", str(len(prepared.speakers)) if prepared.speakers else "not named")
    table.add_row("left out", str(len(problems)))
    Console().print(table)
    typer.echo(f"wrote {shown(out)}\nnext:\n  steno data check {shlex.quote(shown(out))}")
