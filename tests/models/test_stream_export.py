"""The step's graph makes up the model, whatever the sizes, and however far along each stream of a batch is."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from steno.errors import ModelError
from steno.features.config import FeatureConfig
from steno.models.config import ConformerConfig, ResCnnBiGruConfig, ResCnnGruStreamConfig
from steno.models.registry import AcousticModel
from steno.models.stream_export import UNKNOWN, check_stream, export_stream

KINDS = {
    "log-mel": FeatureConfig(n_mels=16),
    "mfcc": FeatureConfig(kind="mfcc", log_mels=True, n_mfcc=13, n_mels=20, hop_length=200),
    "odd window": FeatureConfig(kind="spectrogram", n_fft=101, hop_length=80, power=1.0),
    "8 kHz": FeatureConfig(kind="mel", sample_rate=8000, n_fft=200, hop_length=80, n_mels=16),
}
TINY = ResCnnGruStreamConfig(lookahead_ms=240, channels=6, blocks=1, rnn_layers=2, rnn_size=8)
CONFORMER = ConformerConfig(
    size=16, layers=4, heads=2, kernel=5, stem_channels=4, causal=True, chunk_frames=4, left_chunks=2
)
CONFORMERS = {
    "plain": CONFORMER,
    "squeezed": CONFORMER.model_copy(update={"squeeze": (2, 3)}),
    "frame by frame": CONFORMER.model_copy(update={"chunk_frames": 1, "left_chunks": 5}),
    "nothing but its chunk": CONFORMER.model_copy(update={"chunk_frames": 3, "left_chunks": 0}),
    "other strides": CONFORMER.model_copy(update={"chunk_frames": 6, "squeeze": (1, 4), "stem_strides": (3, 2)}),
}


def acoustic(kind: str = "log-mel", sizes: ResCnnGruStreamConfig | ConformerConfig = TINY) -> AcousticModel:
    torch.manual_seed(0)
    model = AcousticModel(KINDS[kind], sizes, 7)
    model.frontend.set_statistics(torch.randn(KINDS[kind].size), torch.rand(KINDS[kind].size) + 0.5)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_graph_equals_the_model(kind: str, tmp_path: Path) -> None:
    assert export_stream(acoustic(kind), tmp_path / "stream.onnx") < 1e-4


@pytest.mark.parametrize("sizes", CONFORMERS)
def test_graph_equals_the_conformer(sizes: str, tmp_path: Path) -> None:
    model = acoustic(sizes=CONFORMERS[sizes])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    assert export_stream(model, tmp_path / "stream.onnx") < 1e-4


def test_what_the_model_has_is_inside(tmp_path: Path) -> None:
    model = acoustic()
    export_stream(model, tmp_path / "stream.onnx")
    model.frontend.set_statistics(torch.full((16,), 3.0), torch.full((16,), 0.1))
    assert check_stream(model, tmp_path / "stream.onnx") > 1e-2


@pytest.mark.parametrize("sizes", [TINY, CONFORMERS["squeezed"]], ids=["rescnn-gru-stream", "conformer"])
def test_a_stream_does_not_feel_its_neighbours(sizes: ResCnnGruStreamConfig | ConformerConfig, tmp_path: Path) -> None:
    export_stream(acoustic(sizes=sizes), tmp_path / "stream.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "stream.onnx"), providers=["CPUExecutionProvider"])
    size = session.get_inputs()[3].shape[1]
    generator = np.random.default_rng(0)
    feeds = {
        "samples": generator.standard_normal((3, 15 * 160 + 400)).astype(np.float32),
        "position": np.array([0, 8, 4]),
        "total": np.array([UNKNOWN, 42, 19]),
        "state": generator.standard_normal((3, size)).astype(np.float32),
    }
    together = session.run(None, feeds)
    for row in range(3):
        alone = session.run(None, {name: value[row : row + 1] for name, value in feeds.items()})
        for found, expected in zip(together, alone, strict=True):
            np.testing.assert_allclose(found[row], expected[0], atol=1e-5)


def test_what_cannot_stream_is_refused(tmp_path: Path) -> None:
    offline = AcousticModel(KINDS["log-mel"], ResCnnBiGruConfig(channels=3, blocks=1, rnn_layers=1, rnn_size=8), 7)
    whole = AcousticModel(FeatureConfig(n_mels=16, normalize="utterance"), TINY, 7)
    sizes = ({"left_chunks": None}, {"chunk_frames": None, "left_chunks": None}, {"causal": False})
    unbounded = [acoustic(sizes=CONFORMER.model_copy(update=change)) for change in sizes]
    looks_beyond = acoustic(sizes=CONFORMER.model_copy(update={"stem_strides": (2, 1)}))
    for model in (offline, whole, *unbounded, looks_beyond):
        with pytest.raises(ValueError, match="only a streaming model"):
            export_stream(model, tmp_path / "stream.onnx")


def test_a_graph_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steno.models.stream_export.TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differs"):
        export_stream(acoustic(), tmp_path / "stream.onnx")
