"""`steno pseudo-label`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steno.cli.decoding import takes_options
from steno.cli.model import Model

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions


@takes_options("hotwords", "nbest")
def pseudo_label(
    audio: Annotated[list[str], typer.Argument(help="Recordings, folders or globs.")],
    model: Model,
    out: Annotated[Path, typer.Option(help="The manifest to write; OUT.provenance.yaml goes beside it.")],
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out recordings whose words have a lower mean confidence.")
    ] = 0.0,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Transcribe recordings that have no transcripts, as a manifest to train on."""
    import yaml
    from rich.console import Console
    from rich.progress import Progress

    from steno.data.manifest import write_manifest
    from steno.errors import StenoError
    from steno.runtime import Recognizer
    from steno.runtime.files import expand
    from steno.tracking.registry import resolve
    from steno.training.pseudo_label import provenance
    from steno.training.pseudo_label import pseudo_label as label

    files = list(dict.fromkeys(Path(name) for name in expand(audio)))
    recognizer = Recognizer(resolve(model, uri), decoding=asked)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("transcribing", total=len(files))
        found = label(recognizer, files, min_confidence, lambda done, _: progress.update(task, completed=done))
    for path, reason in found.left_out:
        typer.echo(f"left out {path}: {reason}", err=True)
    if not found.utterances:
        raise StenoError(
            f"none of {len(files)} recordings could be labelled, so {out} was not written",
            "Lower --min-confidence, or use a better model.",
        )
    write_manifest(out, found.utterances)
    beside = out.with_name(out.name + ".provenance.yaml")
    text = yaml.safe_dump(
        provenance(recognizer, model, found, min_confidence), sort_keys=False, allow_unicode=True, width=100
    )
    beside.write_text(text, encoding="utf-8")
    typer.echo(
        f"{out}: {len(found.utterances)} of {len(files)} recordings, {found.hours:.2f} h; labels by "
        f"{recognizer.config.name}, see {beside}"
    )
