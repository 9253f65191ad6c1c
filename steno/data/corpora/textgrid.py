"""Praat's TextGrid, in its long and its short form.

Source: the Praat manual, "TextGrid file formats": what counts are the numbers and the texts in quotes that stand free;
everything else is comment. So both forms hold the same values in the same order.
"""

import re
from itertools import pairwise
from typing import NamedTuple

from steno.data.corpora.base import Problem
from steno.data.corpora.tiers import AnnotationError, Interval, Tier

_VALUE = re.compile(r'"(?P<text>[^"]*(?:""[^"]*)*)"|![^\n]*|(?P<word>[^\s"]+)')
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_INTERVALS, _POINTS = "IntervalTier", "TextTier"
_HEAD = 3
"""Numbers of a file before its first tier, and of a tier before its first label: two times, and how many there are."""


class _Value(NamedTuple):
    """A text, and the numbers between it and the text before."""

    numbers: list[float]
    text: str


def read(text: str, path: str) -> list[Tier]:
    """The tiers of intervals; those of points are no parts of recordings.

    Args:
        text: of the file at ``path``.

    Raises:
        AnnotationError: it is no TextGrid, or has lost tiers.
    """
    values = _values(text)
    if [value.text for value in values[:2]] not in (["ooTextFile", "TextGrid"], ["ooTextFile short", "TextGrid"]):
        raise AnnotationError("is not a TextGrid as text: save it in Praat as a text file")
    # Before a label stand two times; before the kind of a tier nothing, or the head of the file or of an empty tier.
    kinds = (_INTERVALS, _POINTS)
    begins = [at for at, (numbers, kind) in enumerate(values) if kind in kinds and len(numbers) in (0, _HEAD)]
    head = values[2].numbers
    if len(head) == _HEAD and head[-1] != len(begins):
        raise AnnotationError(f"is damaged: announces {head[-1]:g} tiers and has {len(begins)}")
    return [
        _tier(values[begin + 1 : end + 1], path)
        for begin, end in pairwise([*begins, len(values) - 1])
        if values[begin].text == _INTERVALS
    ]


def _values(text: str) -> list[_Value]:
    """All values; the end of the file counts as an empty text."""
    values: list[_Value] = []
    numbers: list[float] = []
    for found in _VALUE.finditer(text):
        if (label := found["text"]) is not None:
            values.append(_Value(numbers, label.replace('""', '"')))
            numbers = []
        elif found["word"] and _NUMBER.fullmatch(found["word"]):
            numbers.append(float(found["word"]) + 0.0)  # Praat writes -0, too
    return [*values, _Value(numbers, "")]


def _tier(values: list[_Value], path: str) -> Tier:
    """The tier of its name, its labels, and the text after them; its head stands before the second of these."""
    name, labels = values[0].text, values[1:-1]
    head = values[1].numbers[:_HEAD] if len(values) > 1 else []
    where = f"{path}, tier {name!r}"
    items: list[Interval | Problem] = []
    for number, (numbers, label) in enumerate(labels, start=1):
        times = numbers[_HEAD:] if number == 1 else numbers
        place = f"{where}, interval {number}"
        if len(times) == 2:
            items.append(Interval(times[0], times[1], label, place))
        else:
            items.append(Problem(place, "its times cannot be read: mend it in Praat"))
    if len(head) < _HEAD:
        items.append(Problem(where, "is damaged: the file ends in its head"))
    elif head[-1] != len(labels):
        items.append(Problem(where, f"is damaged: announces {head[-1]:g} intervals and has {len(labels)}"))
    return Tier(name, items)
