"""What a streaming session tells."""

from dataclasses import dataclass
from typing import Any, Literal

from steno.decoding.transcript import Transcript, Word
from steno.runtime.formats import to_dict as transcript_to_dict

Reason = Literal["pause", "blank", "silence", "length", "end"]
"""Why an utterance is over: the rules of :class:`~steno.runtime.streaming.EndpointConfig`, or the stream's end."""


@dataclass(frozen=True, slots=True)
class Partial:
    """What has been heard of an utterance so far; later samples may change it.

    ``start`` is where the utterance begins, and the words have their times, in seconds from the stream's start.
    """

    text: str
    words: tuple[Word, ...]
    start: float


@dataclass(frozen=True, slots=True)
class Final:
    """An utterance that is over. It lies from ``start`` to ``end``, in seconds from the stream's start."""

    transcript: Transcript
    start: float
    end: float
    reason: Reason

    @property
    def text(self) -> str:
        """The transcript's text."""
        return self.transcript.text


Event = Partial | Final


def to_dict(event: Event) -> dict[str, Any]:
    """Plain values of an event, for JSON; ``type`` is ``partial`` or ``final``, times are in seconds."""
    if isinstance(event, Partial):
        heard = transcript_to_dict(Transcript(event.text, event.words))
        return {"type": "partial", "start": round(event.start, 3), **heard}
    times = {"start": round(event.start, 3), "end": round(event.end, 3)}
    return {"type": "final", **times, "reason": event.reason, **transcript_to_dict(event.transcript)}
