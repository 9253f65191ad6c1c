"""A recogniser over a model folder, on ONNX Runtime."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from steno.audio import Samples
from steno.decoding.greedy import greedy_labels
from steno.errors import ModelError
from steno.runtime.folder import ONNX, read_config, verified

Emission = npt.NDArray[np.float32]
"""Log-probabilities (T, V) of one utterance."""


@dataclass(frozen=True)
class Transcript:
    """What was heard."""

    text: str


class Recognizer:
    """Loads a model folder and turns samples into text.

    Args:
        folder: a model folder.
        threads: threads of one inference; None takes ONNX Runtime's default, one a core.

    Raises:
        ModelError: the folder is not a valid model folder, or a file of it was changed.
    """

    def __init__(self, folder: str | PathLike[str], threads: int | None = None) -> None:
        folder = Path(folder)
        self.config = read_config(folder)
        self.tokenizer = self.config.tokenizer.build()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        path = verified(folder, self.config, ONNX)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own, unrelated types for each kind of damage
            raise ModelError(f"{path}: ONNX Runtime cannot load it ({error})") from error

    @property
    def sample_rate(self) -> int:
        """Samples per second (Hz) that the recogniser takes."""
        return self.config.features.sample_rate

    def transcribe(self, audios: Sequence[Samples], batch_seconds: float = 120.0) -> list[Transcript]:
        """Texts of recordings (N,) at :attr:`sample_rate`, in their order.

        Recordings of like length share a batch of at most ``batch_seconds`` of padded audio, or one recording.
        """
        return [
            Transcript(self.tokenizer.decode(greedy_labels(emission)))
            for emission in self.emissions(audios, batch_seconds)
        ]

    def emissions(self, audios: Sequence[Samples], batch_seconds: float = 120.0) -> list[Emission]:
        """Log-probabilities (T, V) of recordings (N,), in their order."""
        found: dict[int, Emission] = {}
        for batch in _batches([len(audio) for audio in audios], int(batch_seconds * self.sample_rate)):
            lengths = np.array([len(audios[i]) for i in batch], dtype=np.int64)
            samples = np.zeros((len(batch), int(lengths.max())), dtype=np.float32)
            for row, i in enumerate(batch):
                samples[row, : lengths[row]] = audios[i]
            log_probs, frames = self._session.run(["log_probs", "frames"], {"samples": samples, "lengths": lengths})
            for row, i in enumerate(batch):
                found[i] = log_probs[row, : frames[row]]
        return [found[i] for i in range(len(audios))]


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indices of like length, so that each batch, padded, holds at most ``most`` samples or one recording."""
    if any(length < 1 for length in lengths):
        raise ValueError("a recording holds no samples")
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and lengths[i] * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
