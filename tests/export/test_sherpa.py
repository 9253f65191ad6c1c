"""sherpa-onnx's own recognisers load what is exported for them, and hear what Steno hears."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny
import torch

from steno.errors import ModelError
from steno.export.sherpa import export_sherpa, offline
from steno.models.registry import AcousticModel
from steno.runtime import Recognizer
from steno.runtime.folder import STREAM
from steno.training.publish import write_model_folder
from steno.training.recipe import load_recipe

sherpa_onnx = pytest.importorskip("sherpa_onnx")
TEXTS = ("ab cd", "dab", "a", "bcd dab c", "cab ad bad", "d")


def recordings() -> list[np.ndarray]:
    """As sherpa-onnx keeps them: 16 bits, of which the least value is nothing, and without an offset."""
    found = []
    for seed, text in enumerate(TEXTS):
        samples = tiny.speak(text, seed)
        whole = np.round((samples - samples.mean()) * 32768).astype(np.float32)
        found.append(np.where(abs(whole) > 1, whole, np.float32(0)) / 32768)
    return found


def heard(text: str) -> str:
    return " ".join(text.split())


def test_the_offline_recogniser_hears_the_same(model: Path, tmp_path: Path) -> None:
    export_sherpa(model, tmp_path / "out")
    theirs = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(tmp_path / "out" / "model.onnx"), tokens=str(tmp_path / "out" / "tokens.txt")
    )
    ours = Recognizer(model)
    for samples in recordings():
        for level in (1.0, 0.1):
            stream = theirs.create_stream()
            stream.accept_waveform(16_000, level * samples)
            theirs.decode_stream(stream)
            assert heard(stream.result.text) == ours.transcribe([level * samples])[0].text


@pytest.fixture(scope="module")
def restored() -> Callable[[np.ndarray, float], np.ndarray]:
    """What a model gets of samples that sherpa-onnx has scaled, with a relative error of its own."""
    floats, whole = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    shapes = {"samples": (floats, ["B", "N"]), "lengths": (whole, ["B"])}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["samples"], ["log_probs"])],
        "as it is",
        [onnx.helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()],
        [onnx.helper.make_tensor_value_info("log_probs", *shapes["samples"])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(offline(model).SerializeToString(), providers=["CPUExecutionProvider"])

    def run(samples: np.ndarray, error: float) -> np.ndarray:
        scale = (1 + error) / np.sqrt(samples.var(dtype=np.float64) + 1e-5)
        given = ((samples - samples.mean(dtype=np.float64)) * scale).astype(np.float32)
        (found,) = session.run(None, {"x": given[None]})
        return found[0]

    return run


@pytest.mark.parametrize("level", [0.003, 0.05, 0.3])
@pytest.mark.parametrize("error", [-1e-6, 0.0, 1e-6])
def test_the_level_of_16_bits_is_restored_exactly(restored, level: float, error: float) -> None:
    smooth = np.convolve(np.random.default_rng(0).standard_normal(32_000), np.hanning(40), "same")
    samples = level * smooth / smooth.std() * (1 + np.sin(np.arange(32_000) / 3000)) / 2  # loud parts and quiet ones
    coarse = np.round(samples * 32_768) / 32_768
    found = restored(coarse, error)
    np.testing.assert_allclose(found, coarse - coarse.mean(), atol=3e-6 * np.abs(coarse).max())
    np.testing.assert_allclose(restored(samples, error), samples - samples.mean(), atol=0.06 * np.abs(samples).max())


@pytest.mark.parametrize("samples", [np.zeros(1), np.full(1, 0.5), np.zeros(800), np.full(800, 0.25)])
def test_what_has_no_level_is_finite(restored, samples: np.ndarray) -> None:
    assert np.isfinite(restored(samples, 0.0)).all()


@pytest.fixture(scope="module")
def online(streaming: Path, tmp_path_factory: pytest.TempPathFactory) -> "sherpa_onnx.OnlineRecognizer":
    folder = tmp_path_factory.mktemp("sherpa") / "out"
    export_sherpa(streaming, folder)
    return sherpa_onnx.OnlineRecognizer.from_t_one_ctc(model=str(folder / STREAM), tokens=str(folder / "tokens.txt"))


def padded(samples: np.ndarray) -> np.ndarray:
    return np.concatenate([samples, np.zeros(16_000, np.float32)])


def ours(folder: Path, samples: np.ndarray) -> str:
    session = Recognizer(folder).stream(endpointing=None)
    events = [*session.accept(padded(samples)), *session.finish()]
    return events[-1].transcript.text if events else ""


def test_the_online_recogniser_hears_the_same(streaming: Path, online) -> None:
    for samples in recordings():
        stream = online.create_stream()
        stream.accept_waveform(8_000, padded(samples))
        while online.is_ready(stream):
            online.decode_stream(stream)
        assert heard(online.get_result(stream)) == ours(streaming, samples)


def test_online_streams_of_different_ages_share_a_batch(streaming: Path, online) -> None:
    first, second = online.create_stream(), online.create_stream()
    one, other = recordings()[3:5]
    first.accept_waveform(8_000, padded(one))
    for _ in range(2):
        online.decode_stream(first)
    second.accept_waveform(8_000, padded(other))
    while ready := [stream for stream in (first, second) if online.is_ready(stream)]:
        online.decode_streams(ready)
    assert heard(online.get_result(first)) == ours(streaming, one)
    assert heard(online.get_result(second)) == ours(streaming, other)


def test_a_model_at_another_rate_is_refused(model: Path, tmp_path: Path, monkeypatch) -> None:
    from steno.runtime.folder import read_config

    config = read_config(model)
    at_8_khz = config.model_copy(update={"features": config.features.model_copy(update={"sample_rate": 8000})})
    monkeypatch.setattr("steno.export.sherpa.read_config", lambda folder: at_8_khz)
    with pytest.raises(ModelError, match="8000 Hz"):
        export_sherpa(model, tmp_path / "out")


@pytest.mark.parametrize("chunk", [2, 8], ids=["steps in every piece", "pieces without a step"])
def test_a_conformer_of_chunks_hears_streams_there(chunk: int, tones: Path, tmp_path: Path) -> None:
    sizes = {"architecture": "conformer", "size": 24, "layers": 2, "heads": 2, "kernel": 3, "stem_channels": 8}
    chunks = {"chunk_frames": chunk, "left_chunks": 2, "causal": True}
    recipe = load_recipe(tiny.write_recipe(tmp_path / "r.yaml", tones, model=sizes | chunks))
    torch.manual_seed(3)
    model = AcousticModel(recipe.features, recipe.model, len(recipe.tokenizer.build()))
    with torch.no_grad():  # untrained as it is, it is to say now this and now that
        spoken = torch.from_numpy(recordings()[0])[None]
        usual = model.eval()(spoken, torch.tensor([spoken.shape[1]]))[0].mean(dim=(0, 1))
        model.encoder.classifier.bias -= usual
    write_model_folder(tmp_path / "model", recipe, model, {})
    export_sherpa(tmp_path / "model", tmp_path / "out")
    theirs = sherpa_onnx.OnlineRecognizer.from_t_one_ctc(
        model=str(tmp_path / "out" / STREAM), tokens=str(tmp_path / "out" / "tokens.txt")
    )
    expected = [ours(tmp_path / "model", samples) for samples in recordings()]
    assert len(set("".join(expected))) > 2
    streams = [theirs.create_stream() for _ in expected]
    for number, (stream, samples) in enumerate(zip(streams, recordings(), strict=True)):
        stream.accept_waveform(8_000, padded(samples))
        for _ in range(number):  # so that they are of different ages
            theirs.decode_stream(stream)
    while ready := [stream for stream in streams if theirs.is_ready(stream)]:
        theirs.decode_streams(ready)
    for stream, text in zip(streams, expected, strict=True):
        found = heard(theirs.get_result(stream))  # of whole chunks only, while Steno knows where the recording ends
        assert text.startswith(found)
        assert len(text) - len(found) <= chunk
