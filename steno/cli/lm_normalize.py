"""`steno lm normalize`: text as a language model sees it."""

import sys
from typing import Annotated

import typer

from steno.cli.texts import Alphabet, Texts


def lm_normalize(
    texts: Texts,
    spell_out: Annotated[
        bool, typer.Option("--spell-out", help="Numbers and signs in words first, as English says them.")
    ] = False,
    alphabet: Alphabet = None,
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
