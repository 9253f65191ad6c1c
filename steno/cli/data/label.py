"""`steno data label`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steno.cli.decoding import takes_options
from steno.cli.model import ModelOrBundled, open_recognizer
from steno.cli.page import DEFAULT_PORT, Port, alphabet_of

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions
    from steno.labelling.session import Session


@takes_options("nbest")
def label(
    audio: Annotated[
        list[str], typer.Argument(help="Recordings, folders, globs; or manifests (.jsonl), whose texts are drafts.")
    ],
    to: Annotated[Path, typer.Option(help="The manifest of what is labelled; one that is there is gone on with.")],
    model: ModelOrBundled = None,
    blind: Annotated[
        bool,
        typer.Option("--blind", help="Without drafts, which are easily believed: for what a model is measured on."),
    ] = False,
    longest: Annotated[float, typer.Option(min=2, max=30, help="Cut recordings into pieces of so many seconds.")] = 15,
    alphabet: Annotated[
        str | None, typer.Option(help="Characters that texts may have; the model's by default, English with --blind.")
    ] = None,
    port: Port = DEFAULT_PORT,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Transcribe recordings by hand, in a browser on this machine, from a model's drafts."""
    from dataclasses import replace

    from steno.cli.measuring import refuse_idle_option, refuse_store
    from steno.data.manifest import Utterance
    from steno.labelling.drafts import Drafting
    from steno.labelling.label_app import Work, create_app
    from steno.labelling.pieces import sources
    from steno.labelling.server import serve
    from steno.labelling.session import Session

    refuse_store(to, "--to")
    found = sources(audio)
    if blind:
        found = [replace(one, text=None) if isinstance(one, Utterance) else one for one in found]
    wanted = not blind and any(not isinstance(one, Utterance) or one.text is None for one in found)
    refuse_idle_option("--model", model is not None and not wanted, "recordings that have no draft yet, to be shown")
    recognizer = open_recognizer(model, asked, uri) if wanted else None
    alphabet = alphabet_of(recognizer) if alphabet is None else alphabet
    session = Session(to, alphabet)
    drafting = Drafting(session, found, recognizer, longest)
    drafting.start()
    try:
        serve(
            create_app(Work(session, recognizer.config.name if recognizer else None)),
            port,
            lambda address: typer.echo(f"label at {address}  (stop with Ctrl-C; all is kept in {to})"),
        )
    finally:
        drafting.stop()
    _tell(session)


def _tell(session: "Session") -> None:
    done = session.progress
    for problem in session.problems:
        typer.echo(f"left out {problem}", err=True)
    if done.unusable:
        typer.echo(f"{session.aside}: {done.unusable} unusable")
    if not done.labelled:
        typer.echo("nothing is labelled yet")
        return
    typer.echo(f"{session.to}: {done.labelled} labelled, {done.hours:.2f} h")
    if done.changed.reference:
        typer.echo(f"the drafts had a WER of {done.changed.rate:.1%} against it ({done.changed.reference} words)")
    typer.echo(f"next: steno data check {session.to}")
