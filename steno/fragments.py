"""Parts of recordings: ``call.wav#t=12.5,17.25`` and ``call.wav#channel=1`` are paths like any other.

So a part goes wherever a recording goes: into a manifest, a batch, a table of results. Times are seconds, and
channels count from 0.

Source: W3C, Media Fragments URI 1.0, section 4.2.1 (``t``, as seconds); ``channel`` is ours.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

_NUMBER = r"\d+(?:\.\d+)?"
_FRAGMENT = re.compile(
    rf"(.+)#(?=.)(?:t=({_NUMBER})(?:,({_NUMBER}))?)?(?:(?:(?<=#)|(?<=\d)&)channel=(\d{{1,4}}))?", re.DOTALL
)


class Part(NamedTuple):
    """A part of a recording: from ``start`` to ``end``, or to its end, in seconds; of one channel, or of all mixed."""

    recording: Path
    start: float = 0.0
    end: float | None = None
    channel: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the recording."""
        return not self.start and self.end is None and self.channel is None

    @property
    def path(self) -> Path:
        """The path that means this part."""
        wanted = []
        if self.start or self.end is not None:
            wanted.append(f"t={_seconds(self.start)}" + ("" if self.end is None else f",{_seconds(self.end)}"))
        if self.channel is not None:
            wanted.append(f"channel={self.channel}")
        return self.recording.with_name(f"{self.recording.name}#{'&'.join(wanted)}") if wanted else self.recording

    @property
    def name(self) -> str:
        """The recording's name without its ending, and what tells this part from its others."""
        times = [f"{second:.2f}" for second in (self.start, self.end) if second is not None]
        chosen = times if self.start or self.end is not None else []
        channel = [] if self.channel is None else [f"channel{self.channel}"]
        return "-".join((self.recording.stem, *chosen, *channel))


def part_of(path: str | os.PathLike[str]) -> Part:
    """What a path means: a part, or the whole recording."""
    found = _FRAGMENT.fullmatch(os.fspath(path))
    if not found:
        return Part(Path(path))
    recording, start, end, channel = found.groups()
    return Part(
        Path(recording),
        float(start or 0),
        None if end is None else float(end),
        None if channel is None else int(channel),
    )


def _seconds(seconds: float) -> str:
    """To the microsecond, as short as can be."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
