"""`steno data split`: one manifest becomes three."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def split(
    manifest: Annotated[Path, typer.Argument(help="A manifest.")],
    to: Annotated[Path, typer.Option(help="The folder that gets train.jsonl, dev.jsonl and test.jsonl.")],
    dev: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the hours; 0 makes no such part.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=0.9, help="Likewise.")] = 0.1,
    apart: Annotated[
        Literal["both", "speaker", "sentence"], typer.Option(help="What no two parts may share.")
    ] = "both",
    seed: Annotated[int, typer.Option(help="Of the choice.")] = 1,
) -> None:
    """Split a manifest into parts that share no speaker and no sentence."""
    from rich.console import Console
    from rich.table import Table

    from steno.cli.target import refuse_existing
    from steno.data.manifest import Manifest, write_manifest
    from steno.data.split import split as parts_of
    from steno.errors import ManifestError

    shares = {name: share for name, share in (("dev", dev), ("test", test)) if share}
    if not shares or sum(shares.values()) >= 1:
        raise ManifestError(f"--dev {dev:g} and --test {test:g} leave nothing to split", "For instance: 0.1 and 0.1.")
    source = Manifest(manifest)
    parts = parts_of(source, shares, ("speaker", "sentence") if apart == "both" else (apart,), seed)
    paths = {name: to / f"{name}.jsonl" for name in parts}
    for path in paths.values():
        refuse_existing(path)
    table = Table("part", "utterances", "hours", "share", "speakers")
    for name, places in parts.items():
        utterances = [source[place] for place in places]
        write_manifest(paths[name], utterances)
        seconds = sum(utterance.duration for utterance in utterances)
        speakers = {utterance.speaker for utterance in utterances if utterance.speaker is not None}
        share = seconds / 3600 / source.hours
        table.add_row(name, f"{len(places):,}", f"{seconds / 3600:.2f}", f"{share:.0%}", str(len(speakers) or "–"))
    Console().print(table)
    if not any(utterance.speaker for utterance in source):
        typer.echo("warning: no utterance names its speaker: the same voices may be in several parts", err=True)
    others = " ".join(f"--against {path}" for name, path in paths.items() if name != "train")
    typer.echo(f"next: steno data check {paths['train']} {others}")
