"""Which word became which: the edits between a reference and a hypothesis, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

Kind = Literal["correct", "substitution", "deletion", "insertion"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A word of the reference beside the one of the hypothesis; None where there is none."""

    kind: Kind
    reference: str | None
    hypothesis: str | None


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """The pairs of a minimal alignment; its edits are those that :mod:`steno.evaluation.wer` counts."""
    pairs: list[Pair] = []
    i = j = 0
    for edit in Levenshtein.editops(reference, hypothesis):
        while i < edit.src_pos and j < edit.dest_pos:
            pairs.append(Pair("correct", reference[i], hypothesis[j]))
            i, j = i + 1, j + 1
        if edit.tag == "replace":
            pairs.append(Pair("substitution", reference[i], hypothesis[j]))
            i, j = i + 1, j + 1
        elif edit.tag == "delete":
            pairs.append(Pair("deletion", reference[i], None))
            i += 1
        else:
            pairs.append(Pair("insertion", None, hypothesis[j]))
            j += 1
    pairs += [Pair("correct", r, h) for r, h in zip(reference[i:], hypothesis[j:], strict=True)]
    return pairs
