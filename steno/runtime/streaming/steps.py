"""A streaming model's steps: ``stream.onnx``, whose contract is in :mod:`steno.models.stream_export`."""

from collections.abc import Sequence

import numpy as np

from steno.audio import Samples
from steno.decoding.path import Emission
from steno.models.config import streaming
from steno.runtime.folder import FolderConfig
from steno.runtime.graph import Graph
from steno.runtime.streaming.signal import Signal

_UNKNOWN = 1 << 40
STEP_SECONDS = 0.16
"""About so much audio a step, where the model does not ask for more: less waits less, more computes less."""


def step_frames(config: FolderConfig) -> int:
    """Output frames of a step of a streaming model."""
    model = streaming(config.model)
    assert model is not None
    return model.step_frames * max(1, round(STEP_SECONDS / config.seconds_per_frame / model.step_frames))


class StepStream:
    """One utterance: the signal that is still needed, and the encoder's state."""

    def __init__(self, encoder: "StepEncoder") -> None:
        self._encoder = encoder
        self.signal = Signal(encoder.pad)
        self.state_z = np.zeros(encoder.state_size, np.float32)
        self.position = 0
        """Output frames that the graph was given."""
        self.total: int | None = None
        """Feature frames of the utterance, once its end is known."""

    @property
    def frames(self) -> int | None:
        """Output frames of the utterance, once its end is known."""
        return None if self.total is None else -(-self.total // self._encoder.subsampling)

    @property
    def due(self) -> bool:
        """Whether there are samples enough for a step."""
        if self.frames is not None:
            return not self.done
        return self.signal.length >= self._encoder.needed(self.position)

    @property
    def done(self) -> bool:
        """Whether the utterance has ended and all its frames were given."""
        return self.frames is not None and self.position >= self.frames + (self._encoder.delay if self.frames else 0)

    def accept(self, samples_n: Samples) -> None:
        """The next samples."""
        self.signal.append(samples_n)

    def end(self) -> None:
        """No more samples will come."""
        self.signal.ended = True
        self.total = self._encoder.feature_frames(self.signal.length)

    def advance(self, log_probs_tv: Emission, state_z: Samples) -> Emission:
        """Take a step's outcome; returns those of its frames that belong to the utterance."""
        first = self.position - self._encoder.delay
        stop = first + len(log_probs_tv)
        kept = slice(max(0, -first), len(log_probs_tv) if self.frames is None else max(0, self.frames - first))
        self.position += len(log_probs_tv)
        self.state_z = state_z
        self.signal.forget(self._encoder.first_sample(self.position) - self._encoder.reach)
        return log_probs_tv[kept] if stop > 0 else log_probs_tv[:0]


class StepEncoder:
    """The encoder of a streaming model.

    Args:
        config: of the model folder.
        graph: its ``stream.onnx``.
    """

    def __init__(self, config: FolderConfig, graph: Graph) -> None:
        c, model = config.features, streaming(config.model)
        assert model is not None
        self._graph = graph
        self._hop, self._n_fft = c.hop_length, c.n_fft
        self.pad = c.n_fft // 2
        self.subsampling = model.subsampling
        self.delay = model.delay(c.seconds_per_frame)
        self.state_size = graph.size("state")
        self._outputs = step_frames(config)
        self.tick = self._outputs * self.subsampling * self._hop
        self.reach = self._n_fft + self._hop
        self.first_tick = self.needed(0)

    def needed(self, position: int) -> int:
        """Samples that the step at an output frame needs, where the end has not come."""
        frames = (position + self._outputs) * self.subsampling
        return max((frames - 1) * self._hop + self._n_fft - self.pad, self.pad + 1)

    def first_sample(self, position: int) -> int:
        """The first sample that the step at an output frame sees."""
        return position * self.subsampling * self._hop - self.pad

    def feature_frames(self, samples: int) -> int:
        """Feature frames of so many samples, as the front-end counts them."""
        return (samples - self._n_fft % 2) // self._hop + 1 if samples else 0

    def start(self) -> StepStream:
        """A new utterance."""
        return StepStream(self)

    def run(self, streams: Sequence[StepStream]) -> list[Emission]:
        """One step of each of these, which are all due."""
        span = self.tick - self._hop + self._n_fft
        starts = [self.first_sample(stream.position) for stream in streams]
        feeds: dict[str, np.ndarray] = {
            "samples": np.stack([s.signal.window(at, at + span) for s, at in zip(streams, starts, strict=True)]),
            "position": np.array([stream.position for stream in streams], np.int64),
            "total": np.array([_UNKNOWN if s.total is None else s.total for s in streams], np.int64),
            "state": np.stack([stream.state_z for stream in streams]),
        }
        log_probs_btv, states_bz = self._graph.rows(["log_probs", "next_state"], feeds)
        return [
            stream.advance(log_probs_tv, state_z)
            for stream, log_probs_tv, state_z in zip(streams, log_probs_btv, states_bz, strict=True)
        ]
