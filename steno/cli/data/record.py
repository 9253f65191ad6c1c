"""`steno data record`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steno.cli.decoding import takes_options
from steno.cli.model import ModelOrBundled, open_recognizer
from steno.cli.page import DEFAULT_PORT, Port, alphabet_of

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions


@takes_options("nbest")
def record(
    texts: Annotated[list[Path], typer.Argument(metavar="TEXT...", help="Sentences to read, one a line.")],
    to: Annotated[Path, typer.Option(help="The folder of the recordings and manifest.jsonl; it is gone on with.")],
    speaker: Annotated[str, typer.Option(help="Whose voice it is, as the manifest and the files are to name it.")],
    model: ModelOrBundled = None,
    unheard: Annotated[bool, typer.Option("--unheard", help="No model listens, too.")] = False,
    spell_out: Annotated[
        bool, typer.Option("--spell-out", help="Numbers and signs in the transcripts in words, as English says them.")
    ] = False,
    alphabet: Annotated[
        str | None, typer.Option(help="Characters of transcripts; the model's by default, English with --unheard.")
    ] = None,
    port: Port = DEFAULT_PORT,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Record sentences that are read aloud, in a browser on this machine; each is checked at once."""
    from steno.cli.measuring import refuse_idle_option, refuse_store
    from steno.data.check.settings import Settings
    from steno.labelling.prompts import read_prompts
    from steno.labelling.record_app import create_app
    from steno.labelling.server import serve
    from steno.labelling.takes import Takes

    refuse_store(to, "--to")
    refuse_idle_option("--model", unheard and model is not None, "a model that listens, so without --unheard")
    recognizer = open_recognizer(model, asked, uri) if not unheard else None
    alphabet = alphabet_of(recognizer) if alphabet is None else alphabet
    prompts = read_prompts(texts, alphabet, spell_out)
    takes = Takes(to, speaker, prompts, Settings(alphabet=alphabet), recognizer)
    serve(
        create_app(takes),
        port,
        lambda address: typer.echo(f"record at {address}  (stop with Ctrl-C; all is kept in {to})"),
    )
    rows = takes.rows
    if not rows:
        typer.echo("nothing is recorded yet")
        return
    left = sum(takes.row(prompt) is None for prompt in prompts)
    minutes = sum(row.duration for row in rows) / 60
    typer.echo(f"{takes.manifest}: {len(rows)} of {speaker}'s recordings, {minutes:.1f} min; left to read: {left}")
    typer.echo(f"next: steno data check {takes.manifest}")
