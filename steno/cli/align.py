"""`steno align`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from steno.cli.model import Model


def align(
    recording: Annotated[Path, typer.Argument(help="A recording.")],
    text: Annotated[Path, typer.Argument(help="A text file with what is said in it; - reads standard input.")],
    model: Model,
    format: Annotated[Literal["textgrid", "json", "srt"], typer.Option(help="The form of the output.")] = "textgrid",
    out: Annotated[Path | None, typer.Option(help="A file; standard output by default.")] = None,
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Find where each word and character of a text is spoken in its recording (forced alignment).

    A warning says where the text does not seem to be that of the recording.
    """
    import sys

    import orjson

    from steno import audio
    from steno.decoding.options import DecodingOptions
    from steno.errors import StenoError, TextError
    from steno.runtime import Recognizer
    from steno.runtime.alignment import MOST_MISFIT, to_textgrid
    from steno.runtime.alignment import align as lay
    from steno.runtime.formats import to_dict, to_srt
    from steno.textfile import decoded, read_text
    from steno.tracking.registry import resolve

    if str(text) == "-":
        spoken = decoded(sys.stdin.buffer.read(), "standard input", TextError)
    else:
        spoken = read_text(text, TextError)
    recognizer = Recognizer(resolve(model, uri), decoding=DecodingOptions(method="greedy"))
    samples = audio.load(recording, recognizer.sample_rate)
    try:
        laid = lay(recognizer, samples, spoken)
    except StenoError as error:
        raise type(error)(f"{recording} with {text}: {error.message}", error.hint) from None
    aligned = laid.transcript
    if laid.doubtful:
        typer.echo(
            f"warning: {text} does not seem to be what is said in {recording}: its letters fit hardly better there "
            f"than backwards (misfit {laid.misfit:.2f}; above {MOST_MISFIT:.2f} the times mean little)",
            err=True,
        )
    seconds = len(samples) / recognizer.sample_rate
    if format == "textgrid":
        rendered = to_textgrid(aligned, seconds)
    elif format == "srt":
        rendered = to_srt(aligned)
    else:
        found = {
            "file": str(recording),
            "seconds": round(seconds, 3),
            "misfit": None if laid.misfit is None else round(laid.misfit, 3),
            **to_dict(aligned),
        }
        rendered = orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n"
    if out is None:
        typer.echo(rendered, nl=False)
    else:
        out.write_text(rendered, encoding="utf-8")
