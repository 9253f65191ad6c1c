"""`steno batch`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steno.cli.decoding import takes_options
from steno.cli.model import Model

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from steno.batch.tasks import Engine
    from steno.decoding.options import DecodingOptions


@takes_options()
def batch(
    source: Annotated[str, typer.Argument(help="A manifest, shards, a folder or a glob, here or in a store.")],
    model: Model,
    to: Annotated[
        Path, typer.Option(help="The table to write, .parquet or .jsonl, here or in a store; failures go beside it.")
    ],
    actors: Annotated[
        int | None, typer.Option(min=1, help="Recognisers at work, each on one core; one a core by default.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster: HOST:PORT, ray://HOST:PORT, auto, or local; without it, processes here."),
    ] = None,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Transcribe a great deal. After a stop the same command goes on; files that fail are listed apart."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from steno import storage
    from steno.batch import cluster, processes
    from steno.batch.merge import check_target, failed_path
    from steno.batch.plan import Plan
    from steno.batch.run import Job, transcribe_all
    from steno.batch.source import open_source
    from steno.batch.worker import describe
    from steno.tracking.registry import resolve

    def start() -> "AbstractContextManager[Engine]":
        if address is None:
            return processes.started(sent, name, actors)
        return cluster.connected(sent, name, actors, address)

    check_target(to)
    sent, name, settled = describe(resolve(model, uri), asked)
    recordings = open_source(source)
    plan = Plan(recordings.digest, len(recordings), recordings.parts, name, settled)
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[audio]}")),
    )
    seconds = 0.0
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("transcribing", total=len(recordings), audio="")

        def advance(count: int, audio: float) -> None:
            nonlocal seconds
            seconds += audio
            progress.update(task, advance=count, audio=f"{seconds / 3600:.1f} h" if seconds else "")

        try:
            counts = transcribe_all(Job(recordings, to, plan, asked.nbest), start, advance)
        except KeyboardInterrupt:
            typer.echo("what is done is kept; the same command goes on", err=True)
            raise
    typer.echo(f"{storage.shown(to)}: {counts.done} recordings, {counts.seconds / 3600:.2f} h")
    if counts.failed:
        total = counts.done + counts.failed
        typer.echo(f"{counts.failed} of {total} could not be transcribed: {storage.shown(failed_path(to))}", err=True)
        raise typer.Exit(1)
