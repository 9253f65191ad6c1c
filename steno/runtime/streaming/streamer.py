"""Makes the streaming sessions of one model folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from steno.decoding.incremental import IncrementalDecoder
from steno.errors import ModelError
from steno.runtime.folder import STREAM, FolderConfig, verified
from steno.runtime.graph import Graph
from steno.runtime.streaming.encoder import Encoder
from steno.runtime.streaming.endpointing import EndpointConfig, Endpointer
from steno.runtime.streaming.session import StreamingSession
from steno.runtime.streaming.steps import StepEncoder
from steno.runtime.streaming.windows import WindowConfig, WindowEncoder
from steno.text import BLANK, WORD_START

Open = Callable[[Path], Graph]
"""Loads a graph."""


class Streamer:
    """The encoders of one model folder, which its sessions share.

    Args:
        folder: a model folder.
        config: its configuration.
        whole: the session of its ``model.onnx``.
        load: loads its ``stream.onnx``, if there is one.
    """

    def __init__(self, folder: Path, config: FolderConfig, whole: Graph, load: Open) -> None:
        self._config, self._whole, self._tokens = config, whole, config.tokenizer.build().tokens
        self.native = STREAM in config.files
        """Whether this is a streaming model; others are streamed by windows."""
        self._steps = StepEncoder(config, load(verified(folder, config, STREAM))) if self.native else None
        self._windows: dict[WindowConfig, WindowEncoder] = {}

    def session(
        self,
        decoder: IncrementalDecoder,
        sample_rate: float | None,
        endpointing: EndpointConfig | None,
        window: WindowConfig | None,
    ) -> StreamingSession:
        """A new session; see :meth:`steno.runtime.Recognizer.stream`."""
        rate = self._config.features.sample_rate
        return StreamingSession(
            self._encoder(window),
            decoder,
            rate,
            sample_rate or rate,
            self._config.seconds_per_frame,
            [label != BLANK and token.strip(f" {WORD_START}") != "" for label, token in enumerate(self._tokens)],
            Endpointer(endpointing, rate) if endpointing else None,
        )

    def _encoder(self, window: WindowConfig | None) -> Encoder[Any]:
        if self._steps is not None:
            if window is not None:
                raise ModelError(
                    f"{self._config.name}: is a streaming model, it is not streamed by windows", "Leave the window out."
                )
            return self._steps
        window = window or WindowConfig()
        if window not in self._windows:
            self._windows[window] = WindowEncoder(self._config, self._whole, window)
        return self._windows[window]
