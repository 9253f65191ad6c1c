"""Sentences to be read aloud, from text files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from steno import textfile
from steno.errors import TextError
from steno.text import CharTokenizer, normalize
from steno.verbalize import verbalized


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sentence as its author wrote it, and the transcript that its recording gets."""

    shown: str
    text: str


def read_prompts(paths: Iterable[Path], alphabet: str, spell_out: bool = False) -> list[Prompt]:
    """The lines of text files, each transcript once.

    Args:
        paths: text files, a sentence a line.
        alphabet: characters of a transcript.
        spell_out: write numbers and signs in words first, as English says them.

    Raises:
        TextError: a file cannot be read, a line has letters or digits that the alphabet lacks, or there is no line.
    """
    tokenizer = CharTokenizer(alphabet)
    found: dict[str, Prompt] = {}
    for path in paths:
        for number, line in enumerate(textfile.read_text(path, TextError).splitlines(), start=1):
            text = normalize(verbalized(line) if spell_out else line, alphabet)
            if unknown := tokenizer.unknown(text):
                raise TextError(
                    f"{path}:{number}: {' '.join(unknown)}: not in the alphabet",
                    "Write it as it is said, or let --spell-out write numbers in words.",
                )
            if text:
                found.setdefault(text, Prompt(" ".join(line.split()), text))
    if not found:
        raise TextError("there is no sentence to read", "Name a text file with a sentence a line.")
    return list(found.values())
