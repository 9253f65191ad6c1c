"""A recogniser over a model folder, on ONNX Runtime."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from steno.audio import Samples
from steno.decoding.build import build_decoder
from steno.decoding.greedy import GreedyDecoder
from steno.decoding.incremental import IncrementalDecoder, IncrementalGreedy
from steno.decoding.options import DecodingOptions, settle
from steno.decoding.path import Emission
from steno.decoding.transcript import Transcript
from steno.decoding.words import transcript
from steno.phonemes import Pronunciations
from steno.runtime.folder import ONNX, read_config, verified
from steno.runtime.graph import Graph
from steno.runtime.neural_lm import NeuralLM
from steno.runtime.streaming import EndpointConfig, StreamingSession, WindowConfig
from steno.runtime.streaming.streamer import Streamer

if TYPE_CHECKING:
    from steno.decoding.beam import BeamDecoder


class Recognizer:
    """Loads a model folder and turns samples into text.

    Args:
        folder: a model folder.
        threads: that compute; None is one a core.
        decoding: what is to be done otherwise than the folder says; None leaves it as it is.

    Raises:
        ModelError: the folder is not a valid model folder, or a file of it was changed.
        DecodingError: the options do not go together.
        LanguageModelError: the language model cannot be read, or does not fit the alphabet.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        threads: int | None = None,
        decoding: DecodingOptions | None = None,
    ) -> None:
        folder = Path(folder)
        options = decoding or DecodingOptions()
        self.config = read_config(folder)
        self.tokenizer = self.config.tokenizer.build()
        self.decoding = settle(self.config.decoding, options)
        self._nbest = options.nbest
        self.hotwords = options.hotwords
        self._folder, self._threads = folder, threads
        graph = verified(folder, self.config, ONNX)
        # ONNX Runtime loads the graph while the vocabulary of a language model is laid out.
        with ThreadPoolExecutor(1) as beside:
            loading = beside.submit(self._load, graph)
            self._decoder = self._build_decoder(folder, options)
            self._graph = loading.result()

    @property
    def sample_rate(self) -> int:
        """Samples per second (Hz) that the recogniser takes."""
        return self.config.features.sample_rate

    def stream(
        self,
        sample_rate: float | None = None,
        *,
        endpointing: EndpointConfig | None = EndpointConfig(),
        window: WindowConfig | None = None,
    ) -> StreamingSession:
        """A session that listens to a stream of samples.

        A model with ``stream.onnx`` carries its state on; any other is streamed by overlapping windows.

        Args:
            sample_rate: of the samples to come, in Hz, where a call does not say it; None is :attr:`sample_rate`.
            endpointing: when an utterance is over; None takes the whole stream for one, as long as it may be.
            window: sizes of the windows; None is a good choice.

        Raises:
            ModelError: ``stream.onnx`` cannot be used, or a window was given to a model that needs none.
            StenoError: the voice detector does not know the model's rate.
        """
        return self._streamer.session(self._incremental(), sample_rate, endpointing, window)

    def transcribe(self, audios: Sequence[Samples], batch_seconds: float = 120.0) -> list[Transcript]:
        """Texts of recordings (N,) at :attr:`sample_rate`, in their order.

        Recordings of like length share a batch of at most ``batch_seconds`` of padded audio, or one recording. None
        changes what another one says.
        """
        return [self.decode(emission_tv) for emission_tv in self.emissions(audios, batch_seconds)]

    def decode(self, emission_tv: Emission, offset: float = 0.0) -> Transcript:
        """What an emission (T, V) says, with times that count from ``offset`` seconds."""
        return transcript(
            self._decoder.decode(emission_tv),
            emission_tv,
            self.tokenizer.tokens,
            self.config.seconds_per_frame,
            self.decoding.calibration.get(self.decoding.method),
            offset,
            self._nbest,
        )

    @cached_property
    def _streamer(self) -> Streamer:
        return Streamer(self._folder, self.config, self._graph, self._load)

    def _incremental(self) -> IncrementalDecoder:
        tokens, seconds = self.tokenizer.tokens, self.config.seconds_per_frame
        calibration = self.decoding.calibration.get(self.decoding.method)
        if isinstance(self._decoder, GreedyDecoder):
            return IncrementalGreedy(tokens, seconds, calibration)
        from steno.decoding.incremental_beam import IncrementalBeam

        own = self._decoder.reweighted(self.decoding)
        return IncrementalBeam(own, tokens, seconds, calibration, self._nbest)

    def _load(self, path: Path) -> Graph:
        return Graph(path, self._threads)

    def _build_decoder(self, folder: Path, options: DecodingOptions) -> "GreedyDecoder | BeamDecoder":
        name = self.decoding.lm
        if name is None:
            file = None
        elif options.lm is None:
            file = verified(folder, self.config, name)
        else:
            file = Path(name)
        return build_decoder(
            self.tokenizer,
            self.decoding,
            file,
            options.hotwords,
            options.nbest,
            self._pronunciations(folder),
            self._neural(folder),
        )

    def _pronunciations(self, folder: Path) -> Pronunciations | None:
        name, phonemes = self.decoding.pronunciations, self.config.phonemes
        if not name or not phonemes or not self.decoding.phoneme_share:
            return None
        return Pronunciations(verified(folder, self.config, name), phonemes.symbols, phonemes.voice)

    def _neural(self, folder: Path) -> NeuralLM | None:
        name = self.decoding.neural_lm
        if not name or not self.decoding.neural_weight or self.decoding.method != "beam":
            return None
        neural = NeuralLM(verified(folder, self.config, name), self._threads)
        neural.check_fits(self.tokenizer.alphabet)
        return neural

    def emissions(self, audios: Sequence[Samples], batch_seconds: float = 120.0) -> list[Emission]:
        """Log-probabilities (T, V) of recordings (N,), in their order."""
        found: dict[int, Emission] = {}
        for batch in _batches([len(audio) for audio in audios], int(batch_seconds * self.sample_rate)):
            found.update(zip(batch, self._graph.emissions([audios[i] for i in batch]), strict=True))
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
