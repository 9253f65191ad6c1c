"""Real speech as a stream: the frames, and so the text, of the whole file."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from steno import audio
from steno.decoding.incremental import IncrementalGreedy
from steno.decoding.path import Emission
from steno.features.config import FeatureConfig
from steno.models.config import ResCnnGruStreamConfig
from steno.models.export import export_onnx
from steno.models.registry import AcousticModel
from steno.models.stream_export import export_stream
from steno.runtime import Recognizer
from steno.runtime.folder import FolderConfig, write_config
from steno.runtime.graph import Graph
from steno.runtime.streaming import EndpointConfig, Final
from steno.runtime.streaming.endpointing import Endpointer
from steno.runtime.streaming.session import StreamingSession
from steno.runtime.streaming.steps import StepEncoder
from steno.text import TokenizerConfig

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH does not name a LibriSpeech folder")

FEATURES = FeatureConfig(n_mels=40)
SIZES = ResCnnGruStreamConfig(channels=16, blocks=2, rnn_layers=2, rnn_size=32)


class Keeping(IncrementalGreedy):
    """Greedy decoding that keeps what it was given."""

    def push(self, emission_tv: Emission) -> None:
        self.kept = [*getattr(self, "kept", []), emission_tv]
        super().push(emission_tv)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights that says a lot."""
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = AcousticModel(FEATURES, SIZES, 29).eval()
    with torch.no_grad():
        model.encoder.classifier.weight.mul_(8)
    (path / "model.safetensors").write_bytes(b"")
    export_onnx(model, path / "model.onnx")
    export_stream(model, path / "stream.onnx")
    write_config(path, FolderConfig(name="random", features=FEATURES, tokenizer=TokenizerConfig(), model=SIZES))
    return path


def recordings(part: str) -> list[audio.Samples]:
    return [audio.load(path) for path in sorted((Path(str(ROOT)) / part).rglob("*-0000.*")) if audio.is_audio(path)][:1]


@pytest.mark.parametrize("part", ["train-clean-100", "dev-clean", "test-clean"])
@pytest.mark.parametrize("piece", [317, 160_000])
def test_frames_and_text_of_a_stream_are_those_of_the_file(folder: Path, part: str, piece: int) -> None:
    recognizer = Recognizer(folder, threads=1)
    encoder = StepEncoder(recognizer.config, Graph(folder / "stream.onnx"))
    for samples in recordings(part):
        decoder = Keeping(recognizer.tokenizer.tokens, 0.04)
        session = StreamingSession(encoder, decoder, 16_000, 16_000, 0.04, [False] + 28 * [True], None)
        events = [event for at in range(0, len(samples), piece) for event in session.accept(samples[at : at + piece])]
        (final,) = [event for event in [*events, *session.finish()] if isinstance(event, Final)]
        whole = recognizer.emissions([samples])[0]
        found = np.concatenate(decoder.kept)
        assert found.shape == whole.shape
        np.testing.assert_allclose(found, whole, atol=1e-3)
        assert final.text == recognizer.transcribe([samples])[0].text != ""


@pytest.mark.parametrize("part", ["dev-clean", "test-clean"])
def test_the_pause_after_read_speech_ends_it_and_none_within(part: str) -> None:
    (speech,) = recordings(part)
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    stream = np.concatenate([speech, quiet])
    endpointer = Endpointer(EndpointConfig(long_utterance=60, max_utterance=60), 16_000)
    for at in range(0, len(stream), 2560):
        endpointer.accept(stream[at : at + 2560], at)
        if reason := endpointer.reason(0, at + 2560, at, None):
            break
    assert reason == "pause"
    # A recording ends in a little silence of its own, and the detector lingers a little.
    assert -0.5 < (at + 2560 - len(speech)) / 16_000 < 1.3
