"""`steno data download`: LibriSpeech and mini LibriSpeech from their mirrors."""

import shlex
from pathlib import Path

import typer

_CORPORA = ("librispeech",)


def download(
    corpus: str = typer.Argument(help="Which corpus; so far: librispeech."),
    part: list[str] = typer.Option(
        ...,
        help="train-clean-100, train-clean-360, train-other-500, dev-clean, dev-other, test-clean, test-other; "
        "or mini LibriSpeech's train-clean-5, dev-clean-2. May be given several times.",
    ),
    to: Path = typer.Option(..., help="Folder that gets LibriSpeech/PART."),
    limit: int | None = typer.Option(
        None, min=1, help="Keep the first so many utterances of each part, in the order of their ids."
    ),
    mirror: list[str] = typer.Option(
        [], help="Address below which RESOURCE/PART.tar.gz lies, as at OpenSLR; instead of OpenSLR's own mirrors."
    ),
) -> None:
    """Fetch parts of a corpus: resumed, checked, unpacked. Run it again to go on after an interruption."""
    from rich.console import Console

    from steno.data import download as corpora
    from steno.data.download.console import ConsoleWatcher
    from steno.errors import StenoError

    if corpus not in _CORPORA:
        raise StenoError(f"no corpus {corpus!r} to download", f"There is: {', '.join(_CORPORA)}.")
    parts = corpora.find_parts(part)
    fetched: list[corpora.Fetched] = []
    with ConsoleWatcher(Console(stderr=True)) as watcher:
        try:
            fetched.extend(corpora.download(parts, to, watcher, limit=limit, mirrors=mirror or corpora.MIRRORS))
        except KeyboardInterrupt:
            watcher.note("stopped; the same command goes on from here")
            raise typer.Exit(130) from None
    for one in fetched:
        state = "is ready" if one.new else "is complete already, nothing to do"
        typer.echo(f"{one.part.name} {state}: {one.utterances} utterances in {one.folder}")
    typer.echo("next:")
    for one in fetched:
        manifest = shlex.quote(str(to / f"{one.part.name}.jsonl"))
        typer.echo(f"  steno data prepare {shlex.quote(str(one.folder))} --out {manifest}")
