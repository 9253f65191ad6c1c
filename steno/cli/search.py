"""`steno search`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def search(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/librispeech-2000.yaml.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="What is searched: optimizer.lr=1e-4..1e-2, model.layers=6|8; and what is set: training.epochs=5.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, with those that the folder has already.")] = 20,
    space: Annotated[Path | None, typer.Option(help="A YAML file of ranges and lists of choices.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder of the search; runs/search-NAME by default.")] = None,
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
    track: Annotated[bool, typer.Option("--track/--no-track", help="Whether MLflow keeps the trials.")] = True,
) -> None:
    """Search a recipe's settings for the lowest dev WER. The same command goes on with a search that was stopped."""
    from steno.training.recipe import load_recipe
    from steno.training.search_space import merged, read_space, split

    asked, fixed = split(settings or [])
    ranges = merged(read_space(space) if space else {}, asked)
    folder = to or Path("runs") / f"search-{load_recipe(recipe, fixed).name}"

    from rich.console import Console
    from rich.table import Table

    from steno.training.interrupt import Interrupted
    from steno.training.search import BEST, Search
    from steno.training.search import search as run

    try:
        found = run(
            Search(recipe, tuple(fixed), ranges),
            folder,
            trials,
            say=lambda line: typer.echo(line, err=True),
            tracking_uri=uri,
            tracked=track,
        )
    except Interrupted:
        typer.echo("\nstopped; the same command goes on with it", err=True)
        raise typer.Exit(130) from None
    table = Table("trial", "dev WER", "ended", *ranges, title=f"{folder}")
    for outcome in sorted(found, key=lambda o: (o.state != "complete", o.wer if o.wer is not None else float("inf"))):
        rate = "–" if outcome.wer is None else f"{outcome.wer:.1%}"
        ended = {"complete": "trained", "pruned": "cut short"}.get(outcome.state, outcome.state)
        table.add_row(str(outcome.number), rate, ended, *(outcome.settings.get(key, "–") for key in ranges))
    Console().print(table)
    if (folder / BEST).is_file():
        typer.echo(f"next: {shlex.join(['steno', 'train', str(folder / BEST)])}")
