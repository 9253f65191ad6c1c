"""What turns samples into emissions as they arrive: the protocol of both ways, and one utterance on its way."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from steno.audio import Samples
from steno.decoding.path import Emission


class EncoderStream(Protocol):
    """One utterance on its way through an encoder."""

    @property
    def due(self) -> bool:
        """Whether there are samples enough for a step."""

    @property
    def done(self) -> bool:
        """Whether the utterance has ended and all its frames were given."""

    def accept(self, samples_n: Samples) -> None:
        """The next samples."""

    def end(self) -> None:
        """No more samples will come."""


Stream = TypeVar("Stream", bound=EncoderStream)


class Encoder(Protocol[Stream]):
    """Makes streams, and takes steps with many of them at once.

    The frames of a stream's steps, joined, do not depend on when its samples came. Its owner gives samples up to
    ``first_tick``, and then ``tick`` at a time, and takes the steps that are due after each.
    """

    first_tick: int
    tick: int

    def start(self) -> Stream:
        """A new utterance."""

    def run(self, streams: Sequence[Stream]) -> list[Emission]:
        """One step of each of these, which are all due."""
