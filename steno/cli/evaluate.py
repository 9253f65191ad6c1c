"""`steno evaluate` and `steno validate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steno.cli.decoding import takes_options
from steno.cli.model import Model, Threads

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions
    from steno.evaluation.analysis import Analysis
    from steno.runtime import Recognizer


@takes_options("nbest")
def evaluate(
    model: Model,
    data: Annotated[Path, typer.Option(help="A manifest with text.")],
    format: Annotated[Literal["text", "json"], typer.Option(help="json: with every utterance.")] = "text",
    normalize: Annotated[
        Literal["steno", "none"],
        typer.Option(help="What is done to reference and hypothesis before they are compared."),
    ] = "steno",
    report: Annotated[Path | None, typer.Option(help="Write an HTML report; it loads nothing.")] = None,
    audio: Annotated[
        int | None, typer.Option(min=0, help="Utterances with a player in the report; 20 by default.")
    ] = None,
    log: Annotated[
        bool | None,
        typer.Option("--log/--no-log", help="Log the evaluation to MLflow; by default if the model is kept there."),
    ] = None,
    threads: Threads = None,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Measure a model on a manifest: WER and CER with intervals, tables, confusions, and a report."""
    import orjson

    from steno.cli.measuring import measure, refuse_idle_option, write_report
    from steno.data.manifest import Manifest
    from steno.evaluation.analysis import analyse
    from steno.evaluation.measure import alphabet_of
    from steno.evaluation.normalization import Normalization
    from steno.evaluation.report import evaluation_report
    from steno.runtime import Recognizer
    from steno.tracking.lookup import is_reference
    from steno.tracking.registry import resolve

    logged = is_reference(model) if log is None else log
    refuse_idle_option("--audio", audio is not None and report is None and not logged, "--report or --log")
    manifest = Manifest(data)
    recognizer = Recognizer(resolve(model, uri), threads, asked)
    form = Normalization(normalize, alphabet_of(recognizer))
    found = analyse(measure(recognizer, manifest, model, form).checked())
    html = evaluation_report(found, 20 if audio is None else audio) if report or logged else ""
    if report:
        write_report(report, html)
    if format == "json":
        typer.echo(orjson.dumps(found.to_dict(), option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)
    _warn_of_unspellable(found, recognizer)
    if logged:
        from steno.tracking.reports import log_evaluation

        run = log_evaluation(found, html, model, uri)
        typer.echo(f"logged      run {run}", err=True)


def _warn_of_unspellable(found: "Analysis", recognizer: "Recognizer") -> None:
    """Say which references can never be met, for instance because of digits."""
    strange: set[str] = set()
    count = 0
    for one in found.evaluation.measured:
        if unknown := recognizer.tokenizer.unknown(one.scored.reference):
            strange.update(unknown)
            count += 1
    if count:
        shown = " ".join(sorted(strange)[:20]) + (" …" if len(strange) > 20 else "")
        typer.echo(
            f"warning: {count} of {len(found.evaluation.measured)} references have characters that the model does not "
            f"write, and count as errors: {shown}",
            err=True,
        )


def _print(found: "Analysis") -> None:
    from rich.console import Console

    from steno.cli.measuring import confusion_tables, speaker_line, word_tables
    from steno.evaluation.show import edits, rate

    evaluation, scores = found.evaluation, found.evaluation.scores
    typer.echo(f"texts       {evaluation.normalization.description}")
    typer.echo(f"decoding    {evaluation.decoding}")
    typer.echo(f"utterances  {len(evaluation.measured)}")
    typer.echo(f"WER         {rate(scores.wer, found.wer_interval)}")
    typer.echo(f"            {speaker_line(found.wer_by_speaker)}")
    typer.echo(f"            {edits(scores.words)} words")
    typer.echo(f"CER         {rate(scores.cer, found.cer_interval)}")
    typer.echo(f"            {speaker_line(found.cer_by_speaker)}")
    typer.echo(f"            {edits(scores.chars)} characters")
    typer.echo(f"speed       real-time factor {evaluation.real_time_factor:.3f}")
    if found.calibration:
        typer.echo(f"confidence  expected calibration error {100 * found.calibration.error:.1f} %")
    console = Console()
    for table in (*word_tables(found.tables), *confusion_tables(found.confusions)):
        console.print()
        console.print(table)
    if found.worst:
        typer.echo("\nworst utterances")
        for one in found.worst[:5]:
            typer.echo(f"{one.scored.id}  WER {100 * one.scored.words.rate:.0f} %")
            typer.echo(f"  reference  {one.scored.reference}\n  heard      {one.scored.hypothesis}")
    for entry in evaluation.left_out:
        typer.echo(f"left out    {entry.id}: {entry.reason}", err=True)


@takes_options("nbest")
def validate(
    model: Model,
    file_id: Annotated[str, typer.Option(help="The utterance's id, such as 1089-134686-0000.")],
    data: Annotated[Path, typer.Option(help="A LibriSpeech tree, or a manifest.")],
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Transcribe one utterance of a corpus and print target, predicted, WER and CER."""
    from steno import audio
    from steno.data.find import find_utterance
    from steno.evaluation.score import score
    from steno.runtime import Recognizer
    from steno.tracking.registry import resolve

    utterance = find_utterance(data, file_id)
    recognizer = Recognizer(resolve(model, uri), decoding=asked)
    predicted = recognizer.transcribe([audio.load(utterance.audio, recognizer.sample_rate)])[0].text
    scores = score([(utterance.id, utterance.text or "", predicted)])
    typer.echo(f"target:    {utterance.text}")
    typer.echo(f"predicted: {predicted}")
    typer.echo(f"WER {scores.wer:.1%}  CER {scores.cer:.1%}")
