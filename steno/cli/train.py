"""`steno train`."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/librispeech-2000.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change: training.epochs=3")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder of the run, also s3://… or az://…; runs/NAME by default.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run that is in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run that is in the folder.")] = False,
    resume_or_start: Annotated[
        bool,
        typer.Option(
            "--resume-or-start", help="Continue the run that is in the folder if it has a checkpoint, else start it."
        ),
    ] = False,
    change: Annotated[
        bool,
        typer.Option(
            "--change",
            help="Where a run is continued: take another training.epochs, training.patience, training.grad_clip, "
            "optimizer.lr, optimizer.weight_decay and schedule than it was started with.",
        ),
    ] = False,
    register: Annotated[str | None, typer.Option(help="Register the model under this name.")] = None,
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
    track: Annotated[bool, typer.Option("--track/--no-track", help="Whether MLflow keeps the run.")] = True,
) -> None:
    """Train a model from a recipe, measure it, track it and register it."""
    from steno.errors import StenoError
    from steno.training.recipe import load_recipe

    if resume + overwrite + resume_or_start > 1:
        raise StenoError("--resume, --overwrite and --resume-or-start exclude each other")
    if change and not (resume or resume_or_start):
        raise StenoError("--change is for a run that is continued", "Add --resume, or leave it out.")
    if register is not None:
        overrides = [*(overrides or []), f"tracking.register_as={json.dumps(register)}"]
    settings = load_recipe(recipe, overrides or [])
    run_dir = to or Path("runs") / settings.name

    from steno.storage import shown
    from steno.training.display import ConsoleDisplay
    from steno.training.interrupt import Interrupted
    from steno.training.remote import has_checkpoint
    from steno.training.remote import train as run

    command = ["steno", "train", str(recipe), *(overrides or []), "--to", shown(run_dir), "--resume"]
    command += ([] if track else ["--no-track"]) + ([] if uri is None else ["--uri", uri])
    if resume_or_start:
        resume = has_checkpoint(run_dir)
        overwrite = not resume
    try:
        result = run(
            settings,
            run_dir,
            display=ConsoleDisplay(),
            resume=resume,
            overwrite=overwrite,
            change=change,
            tracking_uri=uri,
            tracked=track,
        )
    except Interrupted:
        typer.echo(f"\nstopped and saved; continue with:\n  {shlex.join(command)}", err=True)
        raise typer.Exit(130) from None
    if not result.scores:
        return  # one of several processes, and not the one that reports
    from steno.evaluation.show import score_line

    for part, scores in result.scores.items():
        typer.echo(f"{part}: {score_line(scores)}")
    typer.echo(f"model: {shown(result.model)}")
    if result.version is not None:
        typer.echo(f"registered as {settings.tracking.register_as} version {result.version}")
    typer.echo(f"next: steno transcribe FILE --model {shown(result.model)}")
