"""The form in which texts are compared; it is chosen, and shown with every figure."""

from dataclasses import dataclass
from typing import Literal, get_args

from steno.errors import StenoError
from steno.text import ENGLISH, normalize, words

Name = Literal["steno", "none"]
NAMES: tuple[str, ...] = get_args(Name)


@dataclass(frozen=True)
class Normalization:
    """What is done to reference and hypothesis alike before they are compared.

    ``steno`` is :func:`steno.text.normalize` for an alphabet, ``none`` only splits at white space.
    """

    name: str = "steno"
    alphabet: str = ENGLISH

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise StenoError(f"no normalisation {self.name!r}", f"There are: {', '.join(NAMES)}.")

    def apply(self, text: str) -> str:
        """The text in the form that is compared: words with one space between them."""
        return " ".join(words(text if self.name == "none" else normalize(text, self.alphabet)))

    @property
    def description(self) -> str:
        """What it does, in words."""
        if self.name == "none":
            return "none: texts as they are, split at white space"
        case = "" if any(c.isupper() for c in self.alphabet) else "lower case, "
        letters = "".join(sorted(self.alphabet)).strip()
        return f"steno: Unicode NFKC, {case}accents and punctuation outside the alphabet removed (alphabet: {letters})"


def common_alphabet(alphabets: list[str]) -> str:
    """Every character that one of the alphabets has, so that models are compared on equal texts."""
    return "".join(sorted(set("".join(alphabets))))
