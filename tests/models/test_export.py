"""The ONNX graph computes what the model does, at shapes that it was not traced with."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from steno.errors import ModelError
from steno.features.config import FeatureConfig
from steno.models.config import ResCnnBiGruConfig
from steno.models.export import check_graph, export_onnx
from steno.models.registry import AcousticModel

KINDS = {
    "log-mel": FeatureConfig(n_mels=16),
    "mfcc": FeatureConfig(kind="mfcc", n_mfcc=13, n_mels=20, hop_length=200),
    "spectrogram": FeatureConfig(kind="spectrogram", n_fft=101, hop_length=80, power=1.0),
    "8 kHz": FeatureConfig(kind="mel", sample_rate=8000, n_fft=200, hop_length=80, n_mels=16),
}
TINY = ResCnnBiGruConfig(channels=3, blocks=1, rnn_layers=1, rnn_size=8)


@pytest.mark.parametrize("kind", KINDS)
def test_graph_equals_torch_at_any_batch_size_and_length(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AcousticModel(KINDS[kind], TINY, 7)
    model.frontend.set_statistics(torch.randn(KINDS[kind].size), torch.rand(KINDS[kind].size) + 0.5)
    assert export_onnx(model, tmp_path / "model.onnx") < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(7)
    for sizes in ([2], [31, 1], [12_345, 399, 400, 401, 8000, 77, 5], [50_000]):
        samples = 0.3 * torch.randn(len(sizes), max(sizes), generator=generator)
        with torch.inference_mode():
            expected, frames = model(samples, torch.tensor(sizes))
        found, found_frames = session.run(None, {"samples": samples.numpy(), "lengths": np.array(sizes)})
        np.testing.assert_array_equal(found_frames, frames.numpy())
        for row, count in enumerate(found_frames):
            np.testing.assert_allclose(found[row, :count], expected[row, :count].numpy(), atol=1e-4)


def test_the_front_end_and_its_statistics_are_inside(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AcousticModel(KINDS["log-mel"], TINY, 7)
    export_onnx(model, tmp_path / "model.onnx")
    assert check_graph(model, tmp_path / "model.onnx") < 1e-4
    model.frontend.set_statistics(torch.full((16,), 3.0), torch.full((16,), 0.1))
    assert check_graph(model, tmp_path / "model.onnx") > 1e-2


def test_a_graph_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steno.models.export.TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differs"):
        export_onnx(AcousticModel(KINDS["log-mel"], TINY, 7), tmp_path / "model.onnx")
