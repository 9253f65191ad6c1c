"""`steno compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steno.cli.decoding import takes_options

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions
    from steno.evaluation.compare import Comparison


@takes_options("nbest")
def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more of: a model folder, models:/NAME@alias, models:/NAME/VERSION, runs:/ID/model."
        ),
    ],
    data: Annotated[Path, typer.Option(help="A manifest with text.")],
    format: Annotated[Literal["text", "json"], typer.Option(help="json: with the utterances that differ.")] = "text",
    normalize: Annotated[
        Literal["steno", "none"],
        typer.Option(help="What is done to reference and hypotheses before they are compared."),
    ] = "steno",
    significance: Annotated[float, typer.Option(help="Both tests must be below it to make a winner.")] = 0.05,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report; it loads nothing.")] = None,
    audio: Annotated[
        int | None, typer.Option(min=0, help="Utterances with a player in the report; 10 by default.")
    ] = None,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Say which model is better on a manifest, and how sure that is. Options of decoding hold for all of them."""
    import orjson

    from steno.cli.measuring import measure, refuse_idle_option, write_report
    from steno.data.manifest import Manifest
    from steno.errors import StenoError
    from steno.evaluation.compare import compare as compare_evaluations
    from steno.evaluation.measure import alphabet_of
    from steno.evaluation.normalization import Normalization, common_alphabet
    from steno.evaluation.report import comparison_report
    from steno.runtime import Recognizer
    from steno.tracking.registry import resolve

    refuse_idle_option("--audio", audio is not None and report is None, "--report")
    if len(models) < 2:
        raise StenoError(f"there is nothing to compare {models[0]} with", "Name two models or more.")
    if not 0 < significance < 1:
        raise StenoError(f"a significance of {significance:g} makes no sense", "Give one such as 0.05.")
    manifest = Manifest(data)
    recognizers = [Recognizer(resolve(model, uri), decoding=asked) for model in models]
    form = Normalization(normalize, common_alphabet([alphabet_of(recognizer) for recognizer in recognizers]))
    found = compare_evaluations(
        [measure(recognizer, manifest, model, form) for recognizer, model in zip(recognizers, models, strict=True)],
        significance,
    )
    if report:
        write_report(report, comparison_report(found, 10 if audio is None else audio))
    if format == "json":
        typer.echo(orjson.dumps(found.to_dict(), option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)


def _print(found: "Comparison") -> None:
    from rich.console import Console
    from rich.table import Table

    from steno.evaluation.compare import name

    first = found.evaluations[0]
    typer.echo(f"texts       {first.normalization.description}")
    typer.echo(f"utterances  {len(first.measured)}")
    table = Table("")
    table.add_column("model", overflow="fold")
    table.add_column("decoding")
    for column in ("WER", "95 % interval", "CER", "RTF"):
        table.add_column(column, justify="right")
    for place, one in enumerate(found.evaluations):
        interval = one.scores.wer_interval()
        table.add_row(
            *(name(place), one.model, one.decoding, f"{100 * one.scores.wer:.1f} %"),
            f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %",
            *(f"{100 * one.scores.cer:.1f} %", f"{one.real_time_factor:.3f}"),
        )
    Console().print(table)
    for duel in found.duels:
        typer.echo(found.verdict(duel))
    if found.most_different:
        typer.echo("\nwhere they differ most")
    for row in found.most_different[:5]:
        typer.echo(f"{row[0].scored.id}\n  reference  {row[0].scored.reference}")
        for place, heard in enumerate(row):
            errors = heard.scored.words.errors
            typer.echo(f"  {name(place):<9}  {heard.scored.hypothesis}  ({errors} error{'s' * (errors != 1)})")
    for entry in found.left_out:
        typer.echo(f"left out    {entry.id}: {entry.reason}", err=True)
