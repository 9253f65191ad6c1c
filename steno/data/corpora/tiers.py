"""Annotations as Praat and ELAN keep them: tiers of intervals, each with a label."""

from dataclasses import dataclass, field

from steno.data.corpora.base import Problem


@dataclass(frozen=True, slots=True)
class Interval:
    """A label and the seconds between which it holds; ``where`` is its file and its place there."""

    start: float
    end: float
    label: str
    where: str


@dataclass(frozen=True, slots=True)
class Tier:
    """Intervals of one kind, or of one speaker.

    Args:
        name: what the annotator called it.
        items: its intervals, and those that cannot be read.
        speaker: who speaks in it, if the file says so.
        top: whether it hangs on no other tier.
    """

    name: str
    items: list[Interval | Problem] = field(default_factory=list)
    speaker: str | None = None
    top: bool = True


class AnnotationError(ValueError):
    """A file of annotations that cannot be read at all; the message says why."""
