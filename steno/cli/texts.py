"""Arguments that the commands about text share."""

from pathlib import Path
from typing import Annotated

import typer

Texts = Annotated[
    list[Path], typer.Argument(metavar="TEXT...", help="Text, .gz or .xz, a sentence a line; - is standard input.")
]
Alphabet = Annotated[str | None, typer.Option(help="Characters of the recogniser, with the space; English by default.")]
