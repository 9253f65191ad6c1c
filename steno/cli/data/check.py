"""`steno data check`: what is wrong with a manifest, before a training finds out."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from steno.data.check import Fixed, Report, Settings
    from steno.data.check.report import Histogram


class Format(StrEnum):
    """Forms of the report."""

    text = "text"
    json = "json"


def check(
    manifest: Path = typer.Argument(..., help="The manifest to check."),
    against: list[Path] = typer.Option(
        [], help="Another manifest that must share neither recordings nor speakers nor sentences; repeatable."
    ),
    fix: Path | None = typer.Option(
        None, help="Write the clean manifest there: errors corrected or left out, warnings kept."
    ),
    recipe: Path | None = typer.Option(None, help="Take alphabet, frame shift and greatest length from this recipe."),
    alphabet: str | None = typer.Option(
        None, help="Characters of the model, the space among them.  [default: English]"
    ),
    frame_shift: float | None = typer.Option(
        None, help="Milliseconds between two frames that the model emits.  [default: 40]"
    ),
    min_seconds: float | None = typer.Option(None, help="Shorter is an error.  [default: 0.2]"),
    max_seconds: float | None = typer.Option(None, help="Longer is an error.  [default: 40]"),
    silence_db: float | None = typer.Option(
        None, help="A recording that stays below this many dBFS is silent.  [default: -55]"
    ),
    format: Format = typer.Option(Format.text, help="For reading, or for a program."),
    workers: int | None = typer.Option(
        None, min=0, help="Processes that decode; 0: this one.  [default: one a processor]"
    ),
) -> None:
    """Find what would break or poison a training: in the sound, in the text, and between manifests.

    Exit code: 0 if there are at most warnings, 1 if there are errors (also when --fix wrote a manifest without
    them), 2 if there is nothing to check.
    """
    import sys

    import orjson
    from rich.console import Console

    from steno.cores import usable_cores
    from steno.data import check as checking

    if fix is not None:
        checking.refuse_inputs(fix, manifest, against)
    settings = _settings(recipe, alphabet, frame_shift, min_seconds, max_seconds, silence_db)
    if workers is None:
        workers = usable_cores()
    report = _check_with_progress(manifest, against, settings, workers)
    fixed: Fixed | None = None
    if format is Format.json:
        try:
            fixed = checking.write_fixed(report, fix) if fix is not None else None
        finally:  # what was found is worth as much where the clean manifest cannot be written
            data = report.as_json() | {"fixed": fixed}
            sys.stdout.buffer.write(orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        for problem in report.problems:
            print(
                f"{manifest}:{problem.line}: {problem.severity}: {problem.id or '(no id)'}: "
                f"{problem.kind}: {problem.message}"
            )
        for part in _tables(report):
            Console().print(part)
        if fix is not None:
            fixed = checking.write_fixed(report, fix)
            print(
                f"{fixed.path}: {fixed.kept} utterances kept, {fixed.corrected} of them corrected; "
                f"{fixed.left_out} left out"
            )
        elif report.errors:
            print("A manifest without these errors: add --fix OUT")
    if report.errors:
        raise typer.Exit(1)


def _settings(
    recipe: Path | None,
    alphabet: str | None,
    frame_shift: float | None,
    min_seconds: float | None,
    max_seconds: float | None,
    silence_db: float | None,
) -> "Settings":
    """The defaults, then the recipe, then the flags."""
    from steno.data.check import Settings

    chosen: dict[str, Any] = {}
    if recipe is not None:
        from steno.training.recipe import load_recipe

        experiment = load_recipe(recipe)
        chosen = {
            "alphabet": experiment.tokenizer.alphabet,
            "pieces": experiment.tokenizer.kind != "characters",
            "seconds_per_frame": experiment.seconds_per_frame,
            "max_seconds": experiment.data.max_seconds,
        }
    flags: dict[str, Any] = {
        "alphabet": alphabet,
        "seconds_per_frame": None if frame_shift is None else frame_shift / 1000,
        "min_seconds": min_seconds,
        "max_seconds": max_seconds,
        "silence_db": silence_db,
    }
    chosen |= {name: value for name, value in flags.items() if value is not None}
    return Settings(**chosen)


def _check_with_progress(manifest: Path, against: list[Path], settings: "Settings", workers: int) -> "Report":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from steno.data.check import check as run_check

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[Path, TaskID] = {}

    def show(path: Path, done: int, total: int) -> None:
        if path not in tasks:
            tasks[path] = bar.add_task(path.name)
        bar.update(tasks[path], completed=done, total=total)

    with bar:
        return run_check(manifest, against, settings, workers, show)


def _tables(report: "Report") -> list["RenderableType"]:
    from rich.columns import Columns
    from rich.table import Table

    from steno.data.check.problems import MEANING
    from steno.data.check.report import unreadable
    from steno.storage.location import shown as spelt

    summary = report.summary()
    totals = Table(title=spelt(report.scan.path), title_justify="left", show_header=False)
    for name in ("utterances", "speakers", "words"):
        totals.add_row(name, f"{summary[name]:,}")
    totals.add_row("hours", f"{summary['hours']:.2f}")
    for severity in ("errors", "warnings"):
        totals.add_row(severity, f"{summary[severity]:,}")
    shown: list[RenderableType] = [totals]
    if report.counts:
        kinds = Table("problem", "severity", "count", "meaning")
        for (kind, severity), count in report.counts.items():
            kinds.add_row(kind, severity, f"{count:,}", MEANING[kind])
        shown.append(kinds)
    shown.append(Columns([_histogram(name, values) for name, values in report.histograms().items()]))
    for other in report.others:
        if count := unreadable(other):
            shown.append(f"{other.path}: {count} lines have no sound to compare; check it as well")
    return shown


def _histogram(name: str, values: "Histogram") -> "RenderableType":
    from rich.console import Group
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 1, 0, 0))
    for _ in range(2):
        table.add_column(justify="right")
    table.add_column()
    most = max(values.counts)
    for low, count in zip(values.edges, values.counts, strict=False):
        table.add_row(f"{low:g}", f"{count:,}", "█" * -(-20 * count // most))
    return Group(f"{name}: median {values.median:.1f} {values.unit}", table, "")
