"""Exports on real speech: the graph is the model, 8 bits are near, sherpa-onnx hears the same.

The weights are random, which is harder than trained ones: every frame is a near tie.
"""

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from steno import audio
from steno.export.quantize import quantized
from steno.export.sherpa import offline
from steno.features.config import FeatureConfig
from steno.models.config import ConformerConfig
from steno.models.export import export_onnx
from steno.models.registry import AcousticModel

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH does not name a LibriSpeech folder")
UNIT_VARIANCE_EPS = 1e-5


@pytest.fixture(scope="module")
def recordings() -> list[audio.Samples]:
    files = sorted(path for path in (Path(str(ROOT)) / "dev-clean").rglob("*") if audio.is_audio(path))
    assert files
    return [audio.load(path) for path in files[:: len(files) // 8][:8]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[AcousticModel, Path]:
    torch.manual_seed(0)
    features = FeatureConfig(n_mels=80, normalize="utterance")
    model = AcousticModel(features, ConformerConfig(size=96, layers=4, heads=3, stem_channels=16), 29).eval()
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(model, path)
    return model, path


def run(graph: bytes | str, feeds: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(["log_probs"], feeds)[0][0]
    return found


def given(samples: audio.Samples) -> dict[str, np.ndarray]:
    return {"samples": samples[None], "lengths": np.array([len(samples)])}


def test_the_graph_agrees_with_torch(exported: tuple[AcousticModel, Path], recordings: list[audio.Samples]) -> None:
    """Bands above an MP3's upper edge hardly change; their variance must not be that of rounding."""
    model, path = exported
    for samples in recordings:
        with torch.inference_mode():
            expected, _ = model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        np.testing.assert_allclose(run(str(path), given(samples)), expected[0].numpy(), atol=2e-4)


def test_eight_bits_are_near(exported: tuple[AcousticModel, Path], recordings: list[audio.Samples]) -> None:
    graph = quantized(onnx.load(exported[1])).SerializeToString()
    for samples in recordings:
        expected, found = run(str(exported[1]), given(samples)), run(graph, given(samples))
        assert np.abs(np.exp(found) - np.exp(expected)).max() < 0.05


def test_sherpa_restores_the_level(exported: tuple[AcousticModel, Path], recordings: list[audio.Samples]) -> None:
    graph = offline(onnx.load(exported[1])).SerializeToString()
    for samples in recordings:
        centred = samples - samples.mean()
        scaled = centred / np.sqrt(centred.var(dtype=np.float64) + UNIT_VARIANCE_EPS)
        expected = run(str(exported[1]), given(centred))
        np.testing.assert_allclose(run(graph, {"x": scaled[None].astype(np.float32)}), expected, atol=0.02)
