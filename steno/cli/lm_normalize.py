"""`steno lm normalize`: text as a language model sees it."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def lm_normalize(
    texts: Annotated[
        list[Path], typer.Argument(metavar="TEXT...", help="Text, .gz or .xz, a sentence a line; - is standard input.")
    ],
    spell_out: Annotated[
        bool, typer.Option("--spell-out", help="Numbers and signs in words first, as English says them.")
    ] = False,
    alphabet: Annotated[
        str | None, typer.Option(help="Characters of the recogniser, with the space; English by default.")
    ] = None,
) -> None:
    """Print text in the form of transcripts, a line for each that has words."""
    from steno.lm.corpus import read_lines
    from steno.text import ENGLISH, normalize
    from steno.verbalize import verbalized

    characters = ENGLISH if alphabet is None else alphabet
    for path in texts:
        for _, line in read_lines(path):
            if words := normalize(verbalized(line) if spell_out else line, characters):
                sys.stdout.write(words + "\n")
