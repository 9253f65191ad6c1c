"""Parts of recordings as corpora write them: seconds, clock times, and channels by number or letter."""

import math
import re
from pathlib import Path

from steno.fragments import Part

_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_CHANNELS = {"a": 0, "b": 1, "left": 0, "right": 1}


class PartError(ValueError):
    """Times or a channel that mean no part of a recording; the message says why."""


def seconds(text: str, scale: float = 1.0) -> float:
    """Seconds of ``12.5``, ``12,5``, ``2:05.5`` or ``1:02:05,5``; plain numbers are multiplied by ``scale``.

    Raises:
        PartError: it is no time, or before the beginning.
    """
    if found := _CLOCK.fullmatch(text):
        hours, minutes, rest = found.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(rest.replace(",", "."))
    try:
        value = scale * float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e6:
        raise PartError(f"{text!r} is not a time, which is spelt 12.5 or 0:00:12.5")
    return value


def channel(text: str, first: int = 0) -> int:
    """The channel, counted from 0, of a number counted from ``first``, a letter, or left and right.

    Raises:
        PartError: it is none.
    """
    if (named := _CHANNELS.get(text.casefold())) is not None:
        return named
    if text.isdecimal() and 0 <= int(text) - first < 10_000:
        return int(text) - first
    raise PartError(f"{text!r} is not a channel: they are numbered from {first}, or A and B, or left and right")


def part(recording: Path, start: float, end: float | None, of_channel: int | None = None) -> Part:
    """The part of a recording between two times in seconds.

    Raises:
        PartError: it ends before it begins.
    """
    if end is not None and end <= start:
        raise PartError(f"ends at {end:g} s and begins at {start:g} s")
    return Part(recording, start, end, of_channel)
