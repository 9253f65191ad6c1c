"""The MODEL that commands take, and what they do where none is named."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions
    from steno.runtime import Recognizer

HELP = "A model folder, models:/NAME@alias, models:/NAME/VERSION, runs:/ID/model, or small-en, which comes with Steno."

Model = Annotated[str, typer.Option("--model", help=HELP)]
ModelOrBundled = Annotated[
    str | None,
    typer.Option(
        "--model", help="A model folder, models:/NAME@alias, models:/NAME/VERSION, runs:/ID/model; small-en by default."
    ),
]

Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads that the models compute with; one a core by default.")
]


def named_or_bundled(model: str | None, asked: "DecodingOptions") -> "tuple[str, DecodingOptions]":
    """The model that was named, or the one that comes with Steno; then that is said on standard error.

    Where the library of beam search is not installed and nothing else was asked for, the latter is decoded greedily.
    """
    from steno.decoding.options import DecodingOptions
    from steno.runtime import bundled

    if model is not None:
        return model, asked
    how = ""
    if asked == DecodingOptions() and find_spec("flashlight") is None:
        asked = DecodingOptions(method="greedy")
        how = ", without its language model, because flashlight-text is not installed"
    typer.echo(f"using {bundled.DEFAULT}, the model that comes with Steno{how}; --model names another", err=True)
    return bundled.DEFAULT, asked


def open_recognizer(
    model: str | None, asked: "DecodingOptions", uri: str | None, threads: int | None = None
) -> "Recognizer":
    """The recogniser of the model that was named, or of the one that comes with Steno.

    Raises:
        StenoError: there is no such model, or it cannot be loaded.
    """
    from steno.runtime import Recognizer
    from steno.tracking.registry import resolve

    named, asked = named_or_bundled(model, asked)
    return Recognizer(resolve(named, uri), threads, asked)
