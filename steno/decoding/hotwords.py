"""Words and phrases that decoding is to prefer."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from steno.errors import DecodingError
from steno.text import CharTokenizer, normalize
from steno.textfile import read_text

DEFAULT_BOOST = 4.0
"""What a word of a phrase gains by default, in natural-log units of the score."""


@dataclass(frozen=True, slots=True)
class Hotword:
    """A phrase, and what each of its words gains in natural-log units; a negative boost makes it rarer."""

    phrase: str
    boost: float = DEFAULT_BOOST


def parse_hotwords(entries: Iterable[str], alphabet: str) -> list[Hotword]:
    """Hotwords of ``phrase``, ``phrase:boost`` or ``@file`` with one such entry a line.

    Raises:
        DecodingError: no phrase, a boost that is no number, a file that cannot be read, or a character that the
            alphabet lacks.
    """
    found = []
    for entry in entries:
        if entry.startswith("@"):
            listed = read_text(Path(entry[1:]), DecodingError)
            for number, line in enumerate(listed.splitlines(), start=1):
                if line.strip() and not line.startswith("#"):
                    found.append(_parse(line.strip(), alphabet, f"{entry[1:]}:{number}: "))
        else:
            found.append(_parse(entry, alphabet, ""))
    return found


def _parse(entry: str, alphabet: str, where: str) -> Hotword:
    phrase, colon, number = entry.rpartition(":")
    if not colon:
        phrase, boost = entry, DEFAULT_BOOST
    else:
        try:
            boost = float(number)
            if not math.isfinite(boost):
                raise ValueError
        except ValueError:
            raise DecodingError(
                f"{where}hotword {entry!r}: {number!r} is not a number", "Write phrase or phrase:boost, as: karenin:6"
            ) from None
    spelled = normalize(phrase, alphabet)
    unknown = CharTokenizer(alphabet).unknown(spelled)
    if unknown or not spelled:
        reason = f"has characters outside the alphabet: {' '.join(map(repr, unknown))}" if unknown else "is empty"
        raise DecodingError(f"{where}hotword {entry!r} {reason}", f"The model writes: {alphabet!r}")
    return Hotword(spelled, boost)


@dataclass(slots=True)
class Node:
    """A place within phrases: what follows, what reaching it gains, and what is lost if it goes no further."""

    children: dict[int, "Node"] = field(default_factory=dict)
    gain: float = 0.0
    pending: float = 0.0
    ends: bool = False


State = TypeVar("State")


class PhraseGraph:
    """Finds phrases in a growing sequence of symbols (words or tokens) and says what each symbol gains.

    A phrase gains as it is spelled, so that the beam keeps it, and loses that again where it breaks off. It must
    begin and end where a word does.

    Args:
        phrases: symbols of each phrase, and the gain of the whole of it.
        begins_word: whether a symbol begins a word after another one (None at the start).
    """

    def __init__(
        self,
        phrases: Iterable[tuple[Sequence[int], float]],
        begins_word: Callable[[int | None, int], bool] = lambda before, symbol: True,
        ends_word: Callable[[int], bool] = lambda symbol: True,
    ) -> None:
        self.root = Node()
        self._begins, self._ends = begins_word, ends_word
        for symbols, gain in phrases:
            node = self.root
            for symbol in symbols:
                node = node.children.setdefault(symbol, Node())
                node.gain = max(node.gain, gain / len(symbols), key=abs)
            node.ends = True
        self._settle(self.root)

    def _settle(self, node: Node) -> None:
        for child in node.children.values():
            child.pending = node.pending * (not node.ends) + child.gain
            self._settle(child)

    def step(self, node: Node, before: int | None, symbol: int) -> tuple[Node, float]:
        """The place after one more symbol, and the gain (or loss) that comes with it."""
        child = node.children.get(symbol)
        if child is not None and (node is not self.root or self._begins(before, symbol)):
            return child, child.gain
        lost = 0.0 if node.ends and self._ends(symbol) else node.pending
        fresh = self.root.children.get(symbol) if self._begins(before, symbol) else None
        if fresh is not None:
            return fresh, fresh.gain - lost
        return self.root, -lost

    def finish(self, node: Node) -> float:
        """What is lost when the sequence ends here."""
        return 0.0 if node.ends else -node.pending

    def gain(self, symbols: Iterable[int]) -> float:
        """What a whole sequence gains."""
        node, before, total = self.root, None, 0.0
        for symbol in symbols:
            node, gain = self.step(node, before, symbol)
            before, total = symbol, total + gain
        return total + self.finish(node)
