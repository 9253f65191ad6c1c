"""`steno lm tune`."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def tune(
    model: Annotated[str, typer.Argument(help="A model folder or a reference; a reference needs --to.")],
    lm: Annotated[
        Path, typer.Option(help="A language model that `steno lm build` wrote, or a model that has one, as small-en.")
    ],
    data: Annotated[Path, typer.Option(help="A dev manifest with text; never the one that you report on.")],
    to: Annotated[
        Path | None, typer.Option(help="A new model folder with the result; by default the model's own is changed.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Sets of weights that bayes tries.")] = 30,
    search: Annotated[
        Literal["bayes", "grid"], typer.Option(help="bayes: each set where the last ones promise most; grid: 90 sets.")
    ] = "bayes",
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept after each frame.")] = 50,
    neural: Annotated[
        Path | None,
        typer.Option(help="A neural one that `steno lm train` wrote, or a model that has one, for a second pass."),
    ] = None,
    lexicon: Annotated[
        Path | None,
        typer.Option(
            help="What words of your own sound like: WORD, a tab and phonemes a line; espeak-ng says the rest."
        ),
    ] = None,
    sound_words: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many words, the likeliest, phonemes can find; all by default, fewer load sooner."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only N utterances, spread over the manifest.")] = None,
    surface: Annotated[Path | None, typer.Option(help="A JSON file that gets every trial.")] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of weights.")] = 1,
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Find a language model's weights on a dev set, calibrate confidences there, and keep both in the model folder."""
    import orjson
    from rich.console import Console

    from steno.cli.language_model import language_model
    from steno.cli.target import refuse_existing
    from steno.data.manifest import Manifest
    from steno.errors import ModelError
    from steno.evaluation.show import rate
    from steno.tracking.registry import is_kept_elsewhere, resolve
    from steno.training.tuning import TuningPlan, second_pass, tune_folder, weights
    from steno.training.tuning import surface as surface_of

    if to is None and is_kept_elsewhere(model):
        raise ModelError(f"{model}: only a folder of your own is changed in place", "Name a new folder with --to.")
    if to is not None:
        refuse_existing(to)
    plan = TuningPlan(
        lm=language_model(lm, "lm"),
        neural=None if neural is None else language_model(neural, "neural_lm"),
        lexicon=lexicon,
        beam=beam,
        trials=trials,
        search=search,
        sound_words=sound_words,
        limit=limit,
        seed=seed,
    )
    manifest, folder = Manifest(data), resolve(model, uri)
    target = to or folder
    with Console(stderr=True).status("") as status:
        tuned = tune_folder(
            folder,
            target,
            manifest,
            plan,
            tell=lambda line: typer.echo(line, err=True),
            progress=status.update,
            watch=lambda trial: status.update(f"{weights(trial)}: WER {trial.wer:.2%}"),
        )
    config = tuned.config
    typer.echo(surface_of(tuned.trials))
    if tuned.shares:
        typer.echo("phonemes    " + ", ".join(f"{share:g}: {wer:.1%}" for share, wer in tuned.shares.items()))
    if tuned.neural:
        typer.echo("neural LM   " + ", ".join(f"{weight:g}: {wer:.1%}" for weight, wer in tuned.neural.items()))
        if not config.neural_weight:
            typer.echo(f"left out    {plan.neural}: it does not help", err=True)
    typer.echo(f"best        {weights(config)}, beam {config.beam}")
    if second := second_pass(config):
        typer.echo(f"second pass {second}")
    typer.echo(f"WER greedy  {rate(tuned.greedy.wer, tuned.greedy.wer_interval())}")
    typer.echo(f"WER with LM {rate(tuned.scores.wer, tuned.scores.wer_interval())}  (on the very data it was tuned on)")
    typer.echo(f"kept in     {target}")
    if surface is not None:
        surface.write_bytes(orjson.dumps(list(tuned.trials), option=orjson.OPT_INDENT_2))
        typer.echo(f"surface     {surface}")
