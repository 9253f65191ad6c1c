"""`steno data synth`: the embedded corpus."""

from pathlib import Path

import typer


def synth(
    to: Path = typer.Option(..., "--to", help="Folder to hold LibriSpeech/{train,dev,test}-synth."),
    seed: int = typer.Option(1, help="Another seed gives other sentences; the same seed, the same bytes."),
    hours: float = typer.Option(3.0, help="Hours of training speech; dev and test have minutes."),
    workers: int | None = typer.Option(None, help="Processes; one on each core unless given."),
) -> None:
    """Make a corpus without recordings: espeak-ng's voices say sentences that Steno composes."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    from steno.data.synth import synthesise

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("speaking", total=None)
        summary = synthesise(
            to, seed, hours, workers, lambda done, total: bar.update(task, completed=done, total=total)
        )
    state = f"{summary.made} utterances made" if summary.made else "this corpus is there already: nothing done"
    table = Table("part", "utterances", "speakers", "minutes", title=f"{summary.folder} ({state})")
    for part in summary.parts:
        table.add_row(part.folder.name, str(part.utterances), str(part.speakers), f"{part.hours * 60:.1f}")
    console.print(table)
    print("next:")
    for part in summary.parts:
        manifest = to / f"{part.folder.name.removesuffix('-synth')}.jsonl"
        print(f"  steno data prepare {part.folder} --out {manifest}")
