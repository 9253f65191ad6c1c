"""`steno export` and `steno parity`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steno.cli.model import HELP

if TYPE_CHECKING:
    from steno.export.folder import Verdict

_MODEL = typer.Argument(help=HELP)
_URI = typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")


def export(
    model: Annotated[str, _MODEL],
    to: Annotated[Path, typer.Option(help="A folder to write; it must not exist, or be empty.")],
    format: Annotated[
        Literal["onnx", "onnx-int8", "sherpa-onnx"],
        typer.Option(help="onnx: what runs; onnx-int8: the same with 8-bit weights; sherpa-onnx: what that loads."),
    ] = "onnx",
    data: Annotated[
        Path | None, typer.Option(help="A manifest with text, on which the 8-bit form has to be as good.")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, help="By how much less the WER may rise; 0.01, one error in 100 words.")
    ] = None,
    uri: Annotated[str | None, _URI] = None,
) -> None:
    """Write a model in the form that another runtime, or a smaller machine, wants.

    8-bit weights are refused, with exit code 1, where the WER on --data rises by --margin or more.
    """
    from steno.cli.measuring import refuse_idle_option, refuse_store
    from steno.errors import StenoError
    from steno.tracking.registry import resolve

    refuse_idle_option(
        "--data or --margin", format != "onnx-int8" and (data or margin) is not None, "--format onnx-int8"
    )
    if format == "onnx-int8" and data is None:
        raise StenoError(
            "8-bit weights have to be proven on speech", "Name a manifest with text that was not trained on: --data."
        )
    refuse_store(to, "--to")
    folder = resolve(model, uri)
    if format == "sherpa-onnx":
        from steno.export.sherpa import export_sherpa

        export_sherpa(folder, to)
    elif data is None:
        from steno.export.folder import export_onnx

        export_onnx(folder, to)
    else:
        from steno.data.manifest import Manifest
        from steno.export.folder import export_int8

        verdict = export_int8(folder, to, Manifest(data), 0.01 if margin is None else margin)
        _tell(verdict)
        if not verdict.accepted:
            typer.echo(f"refused: the WER rises by {verdict.margin:.2%} or more; {to} was not written", err=True)
            raise typer.Exit(1)
    typer.echo(f"written to {to}: {sum(path.stat().st_size for path in to.iterdir()) / 1e6:.2f} MB")


def _tell(verdict: "Verdict") -> None:
    from steno.evaluation.show import rate

    names = ("given", "8 bits") if verdict.small_already else ("float", "8 bits")
    if verdict.small_already:
        typer.echo("the model has 8-bit weights already: what is left in float is hardly worth an export")
    for name, found in zip(names, (verdict.before, verdict.after), strict=True):
        scores = found.scores
        typer.echo(
            f"{name:7}  WER {rate(scores.wer, scores.wer_interval())}, "
            f"{len(found.measured)} utterances, real-time factor {found.real_time_factor:.4f}"
        )
        for entry in found.left_out:
            typer.echo(f"left out {entry.id}: {entry.reason}", err=True)
    for name, streamed in zip(names, verdict.streaming or (), strict=False):
        typer.echo(f"{name:7}  WER {rate(streamed.wer, streamed.wer_interval())} as a stream, greedy")


def parity(
    model: Annotated[str, _MODEL],
    data: Annotated[Path, typer.Option(help="A manifest with text.")],
    exports: Annotated[
        list[Path] | None, typer.Option("--export", help="A folder that was exported from the model; can be repeated.")
    ] = None,
    utterances: Annotated[int, typer.Option(min=1, help="How many of the manifest, evenly spread over it.")] = 200,
    threads: Annotated[int, typer.Option(min=1, help="Of each form, but for the pyfunc.")] = 1,
    pyfunc: Annotated[bool, typer.Option(help="Measure MLflow's form, too.")] = True,
    json: Annotated[Path | None, typer.Option(help="Write all figures to a file.")] = None,
    card: Annotated[bool, typer.Option(help="Put the table into the README.md of the folders.")] = True,
    log: Annotated[bool, typer.Option(help="Log the report to MLflow.")] = False,
    uri: Annotated[str | None, _URI] = None,
) -> None:
    """Prove that torch, ONNX, streaming and MLflow's form of a model, and its exports, are the same recogniser.

    Exit code 1 where a form with the same weights gives another text, or a log-probability that differs by 0.001.
    """
    import orjson
    from rich.console import Console
    from rich.table import Table

    from steno.cli.measuring import write_report
    from steno.data.manifest import Manifest
    from steno.export.folder import add_to_card
    from steno.export.parity import COLUMNS, cells
    from steno.export.parity import parity as measure
    from steno.runtime.folder import read_config
    from steno.tracking.registry import is_kept_elsewhere, resolve

    folder, others = resolve(model, uri), exports or []
    found = measure(
        *(folder, others, Manifest(data)),
        model=model,
        utterances=utterances,
        threads=threads,
        pyfunc=pyfunc,
        watch=lambda name: typer.echo(f"measuring   {name}", err=True),
    )
    table = Table(*COLUMNS)
    for row in found.rows:
        table.add_row(*cells(row))
    Console(width=None if Console().is_terminal else 160).print(table)
    for entry in found.reference.left_out:
        typer.echo(f"left out    {entry.id}: {entry.reason}", err=True)
    if json:
        write_report(json, orjson.dumps(found.to_dict(), option=orjson.OPT_INDENT_2).decode())
    if card:
        # What a store keeps is not changed behind its back.
        for place in ([] if is_kept_elsewhere(model) else [folder]) + others:
            add_to_card(place, read_config(place), "Parity", found.section())
    if log:
        from steno.tracking.reports import log_parity

        run = log_parity(found.reference, found.metrics(), found.to_dict(), found.section(), uri)
        typer.echo(f"logged      run {run}", err=True)
    if not found.holds:
        typer.echo("not the same: a form with the same weights gives other texts or log-probabilities", err=True)
        raise typer.Exit(1)
