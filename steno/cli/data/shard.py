"""`steno data shard`: a manifest's recordings become few large files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_SHOWN = 20


class Audio(StrEnum):
    """Forms of the recordings in the shards."""

    as_is = "as-is"
    flac = "flac"
    opus = "opus"


def shard(
    manifest: Annotated[Path, typer.Argument(help="A manifest, or shards that are to be cut anew.")],
    to: Annotated[Path, typer.Option(help="Folder for the shards, also s3://… or az://….")],
    size: Annotated[str, typer.Option(help="Of a shard, at most.")] = "512MB",
    audio: Annotated[
        Audio, typer.Option(help="as-is: the files' own bytes; flac, opus: written anew, 16 kHz, one channel.")
    ] = Audio.as_is,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Mix the order, for a corpus sorted by speaker or by source.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that encode; 0: this one.  [default: one a processor]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the shards in the folder.")] = False,
) -> None:
    """Write tar shards in WebDataset's form with an index, which any command takes in place of a manifest."""
    import shlex

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    from steno.cores import usable_cores
    from steno.data.manifest import Manifest
    from steno.data.shards.layout import LEFT_OUT
    from steno.data.shards.size import parse_size
    from steno.data.shards.write import shard as write
    from steno.errors import StenoError
    from steno.storage import absolute, shown

    most = parse_size(size)
    if audio is Audio.as_is and workers is not None:
        raise StenoError("--workers does nothing with --audio as-is", "Leave it out: nothing is encoded.")
    source = Manifest(manifest)
    if absolute(to) == absolute(source.path):
        raise StenoError(f"{shown(to)}: holds the shards that are read", "Give another folder with --to.")
    processes = usable_cores() if workers is None else workers
    columns = TextColumn("recordings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("recordings", total=len(source))
        done = write(
            source,
            to,
            size=most,
            encoding=audio.value,
            shuffle=shuffle,
            workers=0 if audio is Audio.as_is else processes,
            overwrite=overwrite,
            progress=lambda count: bar.update(task, completed=count),
        )
    for problem in done.problems[:_SHOWN]:
        typer.echo(f"left out: {problem}", err=True)
    if done.left_out > _SHOWN:
        typer.echo(f"left out: {done.left_out - _SHOWN} more; see {shown(to / LEFT_OUT)}", err=True)
    table = Table(show_header=False)
    table.add_row("shards", f"{done.shards:,}")
    table.add_row("utterances", f"{done.utterances:,}")
    table.add_row("hours", f"{done.seconds / 3600:.2f}")
    table.add_row("megabytes", f"{done.bytes / 1e6:,.1f}")
    table.add_row("left out", str(done.left_out))
    Console().print(table)
    typer.echo(f"wrote {shown(to)}; use it where a command takes a manifest:\n  data.train={shlex.quote(shown(to))}")
