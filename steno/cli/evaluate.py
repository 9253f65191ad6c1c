"""`steno evaluate` and `steno validate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def evaluate(
    model: Annotated[
        str, typer.Option(help="A model folder, models:/NAME@alias, models:/NAME/VERSION, runs:/ID/model.")
    ],
    data: Annotated[Path, typer.Option(help="A manifest with text.")],
    format: Annotated[Literal["text", "json"], typer.Option(help="json: with every utterance.")] = "text",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Measure a model on a manifest: WER and CER with intervals, substitutions, deletions, insertions."""
    import orjson

    from steno.cli.show import edits, rate
    from steno.data.manifest import Manifest
    from steno.errors import ManifestError
    from steno.evaluation.measure import evaluate_manifest
    from steno.runtime import Recognizer
    from steno.tracking.registry import resolve

    manifest = Manifest(data)
    scores, failures = evaluate_manifest(Recognizer(resolve(model, uri)), manifest)
    if not scores.utterances:
        reasons = "\n  ".join(f"{failure.id}: {failure.reason}" for failure in failures[:5])
        raise ManifestError(f"{data}: no utterance could be evaluated", reasons)
    if format == "json":
        report = {"model": model, "data": str(data), "digest": manifest.digest, **scores.to_dict(), "failed": failures}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2, default=vars).decode())
        return
    typer.echo(f"utterances  {len(scores.utterances)}")
    typer.echo(f"WER         {rate(scores.wer, scores.wer_interval())}")
    typer.echo(f"            {edits(scores.words)} words")
    typer.echo(f"CER         {rate(scores.cer, scores.cer_interval())}")
    typer.echo(f"            {edits(scores.chars)} characters")
    for failure in failures:
        typer.echo(f"left out    {failure.id}: {failure.reason}", err=True)


def validate(
    model: Annotated[
        str, typer.Option(help="A model folder, models:/NAME@alias, models:/NAME/VERSION, runs:/ID/model.")
    ],
    file_id: Annotated[str, typer.Option(help="The utterance's id, such as 1089-134686-0000.")],
    data: Annotated[Path, typer.Option(help="A LibriSpeech tree, or a manifest.")],
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Transcribe one utterance of a corpus and print target, predicted, WER and CER."""
    from steno import audio
    from steno.data.find import find_utterance
    from steno.evaluation.score import score
    from steno.runtime import Recognizer
    from steno.tracking.registry import resolve

    utterance = find_utterance(data, file_id)
    recognizer = Recognizer(resolve(model, uri))
    predicted = recognizer.transcribe([audio.load(utterance.audio, recognizer.sample_rate)])[0].text
    scores = score([(utterance.id, utterance.text or "", predicted)])
    typer.echo(f"target:    {utterance.text}")
    typer.echo(f"predicted: {predicted}")
    typer.echo(f"WER {scores.wer:.1%}  CER {scores.cer:.1%}")
