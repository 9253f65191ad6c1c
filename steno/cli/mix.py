"""`steno mix`."""

from pathlib import Path
from typing import Annotated

import typer


def mix(
    models: Annotated[list[str], typer.Argument(help="Two or more model folders or references, steps of one model.")],
    to: Annotated[Path, typer.Option(help="The new model folder.")],
    share: Annotated[
        list[float] | None, typer.Option(min=0, help="Of each model in the mean, in their order; all alike by default.")
    ] = None,
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Make a model of the mean of several ones' weights: steps of one training, or a model and its fine-tuning."""
    from steno.errors import StenoError
    from steno.tracking.registry import resolve
    from steno.training.mixing import mix as mean_of

    if len(models) < 2:
        raise StenoError("a mean is of two models or more", "Name them one after the other.")
    shares = share or [1.0] * len(models)
    if len(shares) != len(models) or not sum(shares):
        raise StenoError(
            f"{len(models)} models and {len(shares)} shares", "Give one --share, not all 0, for each model."
        )
    config = mean_of([resolve(model, uri) for model in models], shares, models, to, lambda line: typer.echo(line))
    typer.echo(f"model: {to} ({config.name})")
    typer.echo(f"next: steno evaluate --model {to} --data MANIFEST")
