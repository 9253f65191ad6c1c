"""What the commands share that open a page for a person on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from steno.runtime import Recognizer

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")]
DEFAULT_PORT = 8090


def alphabet_of(recognizer: "Recognizer | None") -> str:
    """The characters of a recogniser's texts; English where there is none."""
    from steno.text import ENGLISH

    return recognizer.config.tokenizer.alphabet if recognizer else ENGLISH
