"""Models that need a whole utterance, streamed by overlapping windows of it.

Each window is recognised as if it were the utterance, and only the frames of its middle are kept; what lies left
and right of them is context. A frame sees less than it would of the whole utterance, so the text may differ a
little. What the front-end takes from the whole utterance (``normalize: utterance``, ``top_db``) it takes from the
window.
"""

from collections.abc import Sequence

from pydantic import Field

from steno.audio import Samples
from steno.config import Strict
from steno.decoding.path import Emission
from steno.runtime.folder import FolderConfig
from steno.runtime.graph import Graph
from steno.runtime.streaming.signal import Signal
from steno.runtime.streaming.steps import STEP_SECONDS


class WindowConfig(Strict):
    """Seconds of a window: what is kept, and the context on both sides.

    A word is heard after at most ``chunk`` + ``right``; each second of audio costs the time of
    (``left`` + ``chunk`` + ``right``) / ``chunk`` seconds.
    """

    left: float = Field(4.0, ge=0, le=30)
    chunk: float = Field(1.0, ge=0.1, le=30)
    right: float = Field(1.0, ge=0, le=30)


class WindowStream:
    """One utterance: the samples of its next window."""

    def __init__(self, encoder: "WindowEncoder") -> None:
        self._encoder = encoder
        self.signal = Signal()
        self.next = 0
        """The first sample whose frames were not given yet."""
        self.done = False

    @property
    def due(self) -> bool:
        """Whether there are samples enough for a step."""
        if self.signal.ended:
            return not self.done
        return self.signal.length >= self.next + self._encoder.chunk + self._encoder.right

    def accept(self, samples_n: Samples) -> None:
        """The next samples."""
        self.signal.append(samples_n)

    def end(self) -> None:
        """No more samples will come."""
        self.signal.ended = True
        self.done = not self.signal.length

    def window(self) -> Samples:
        """The samples of the next window."""
        last = self.signal.length
        return self.signal.window(self._start, last if self.signal.ended else self._stop)

    def advance(self, log_probs_tv: Emission) -> Emission:
        """Take a window's outcome; returns the frames of its middle, or all that are left at the end."""
        first = (self.next - self._start) // self._encoder.frame
        self.done = self.signal.ended
        if self.done:
            return log_probs_tv[first:]
        self.next += self._encoder.chunk
        self.signal.forget(self.next - self._encoder.left)
        return log_probs_tv[first : first + self._encoder.chunk // self._encoder.frame]

    @property
    def _start(self) -> int:
        return max(0, self.next - self._encoder.left)

    @property
    def _stop(self) -> int:
        return self.next + self._encoder.chunk + self._encoder.right


class WindowEncoder:
    """The encoder of a model that is not a streaming one.

    Args:
        config: of the model folder.
        graph: its ``model.onnx``.
        window: sizes, which are rounded to whole frames of the model.
    """

    def __init__(self, config: FolderConfig, graph: Graph, window: WindowConfig) -> None:
        self._graph = graph
        rate = config.features.sample_rate
        self.frame = round(config.seconds_per_frame * rate)
        self.left, self.chunk, self.right = (
            round(seconds * rate / self.frame) * self.frame for seconds in (window.left, window.chunk, window.right)
        )
        # A frame at the very edge of a window may need samples from beyond it, so each edge has one to spare.
        self.left, self.chunk, self.right = (max(size, self.frame) for size in (self.left, self.chunk, self.right))
        self.tick = min(self.chunk, max(1, round(STEP_SECONDS * rate / self.frame)) * self.frame)
        self.first_tick = self.tick

    def start(self) -> WindowStream:
        """A new utterance."""
        return WindowStream(self)

    def run(self, streams: Sequence[WindowStream]) -> list[Emission]:
        """One step of each of these, which are all due."""
        emissions = self._graph.emissions([stream.window() for stream in streams])
        return [stream.advance(emission_tv) for stream, emission_tv in zip(streams, emissions, strict=True)]
