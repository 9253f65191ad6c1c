"""An ONNX graph of a model folder, run on several recordings or streams at once."""

import mmap
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnxruntime

from steno.audio import Samples
from steno.cores import usable_cores
from steno.decoding.path import Emission
from steno.errors import ModelError

_EIGHT_BITS = b"DynamicQuantizeLinear"
"""The operator that rounds activations to 8 bits, as it is named in a graph."""

Row = TypeVar("Row")
Result = TypeVar("Result")
Array = npt.NDArray[np.generic]


EXACT = ("session.x64quantprecision", "1")
"""An entry of sessions: processors without VNNI add products of 8 bits up in 16, which overflow. There this takes
slower ones, so that a graph says the same everywhere."""


class Graph:
    """A graph, and how rows of a batch get into it: together, or one by one where they would change each other.

    Activations in 8 bits have one scale for a whole batch, so that a recording's text would depend on what else is in
    it. Such a graph takes rows one by one, as many at a time as there are threads, which also costs less than a batch.

    Args:
        path: an ONNX file.
        threads: that are used; None is one a core.

    Raises:
        ModelError: ONNX Runtime cannot load it.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.alone = _rounds_activations(path)
        """Whether rows are taken one by one."""
        self._threads = threads or usable_cores()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry(*EXACT)
        if self.alone or threads is not None:
            options.intra_op_num_threads = 1 if self.alone else self._threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own, unrelated types for each kind of damage
            raise ModelError(f"{path}: ONNX Runtime cannot load it ({error})") from error

    def size(self, name: str) -> int:
        """The last dimension of an input."""
        return int(next(given for given in self._session.get_inputs() if given.name == name).shape[-1])

    def emissions(self, audios: Sequence[Samples]) -> list[Emission]:
        """Log-probabilities (T, V) of recordings (N,), of a graph that takes whole ones."""
        if self.alone:
            return self._each(lambda audio: self._emissions([audio])[0], audios)
        return self._emissions(audios)

    def rows(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """The outputs (B, …) of inputs (B, …)."""
        count = len(next(iter(feeds.values())))
        if not self.alone or count == 1:
            return list(self._session.run([*outputs], {**feeds}))

        def one(row: int) -> list[Array]:
            return list(self._session.run([*outputs], {name: rows[row : row + 1] for name, rows in feeds.items()}))

        return [np.concatenate(parts) for parts in zip(*self._each(one, range(count)), strict=True)]

    def each(self, output: str, rows: Sequence[Mapping[str, Array]]) -> list[Array]:
        """One output of each of several inputs, whose shapes may differ."""
        return self._each(lambda feeds: self._session.run([output], {**feeds})[0], rows)

    @property
    def metadata(self) -> dict[str, str]:
        """What the file keeps beside the graph."""
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    def _emissions(self, audios: Sequence[Samples]) -> list[Emission]:
        lengths_b = np.array([len(audio) for audio in audios], dtype=np.int64)
        samples_bn = np.zeros((len(audios), int(lengths_b.max())), dtype=np.float32)
        for row_n, audio in zip(samples_bn, audios, strict=True):
            row_n[: len(audio)] = audio
        feeds = {"samples": samples_bn, "lengths": lengths_b}
        log_probs_btv, frames_b = self._session.run(["log_probs", "frames"], feeds)
        return [log_probs_tv[:frames] for log_probs_tv, frames in zip(log_probs_btv, frames_b, strict=True)]

    def _each(self, work: Callable[[Row], Result], rows: Sequence[Row]) -> list[Result]:
        if self._threads == 1 or len(rows) <= 1:
            return [work(row) for row in rows]
        return list(self._pool.map(work, rows))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads)


def _rounds_activations(path: Path) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(_EIGHT_BITS) >= 0
