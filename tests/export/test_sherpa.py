"""sherpa-onnx's own recognisers load what is exported for them, and hear what Steno hears."""

from pathlib import Path

import numpy as np
import pytest
import tiny

from steno.errors import ModelError
from steno.export.sherpa import export_sherpa
from steno.models.registry import AcousticModel
from steno.runtime import Recognizer
from steno.runtime.folder import STREAM
from steno.training.publish import write_model_folder
from steno.training.recipe import load_recipe

sherpa_onnx = pytest.importorskip("sherpa_onnx")
TEXTS = ("ab cd", "dab", "a", "bcd dab c", "cab ad bad", "d")


def recordings() -> list[np.ndarray]:
    """On 16 bits, which sherpa-onnx's streaming entry keeps, and without an offset, which its other one removes."""
    found = []
    for seed, text in enumerate(TEXTS):
        samples = tiny.speak(text, seed)
        found.append(np.round((samples - samples.mean()) * 32768).astype(np.float32) / 32768)
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


def test_a_conformer_for_streams_is_exported_for_whole_files_only(tones: Path, steno, tmp_path: Path) -> None:
    """Its chunks are not what the entry for streams hands over."""
    sizes = {"architecture": "conformer", "size": 24, "layers": 1, "heads": 2, "kernel": 3, "stem_channels": 8}
    chunks = {"chunk_frames": 4, "left_chunks": 2, "causal": True}
    recipe = load_recipe(tiny.write_recipe(tmp_path / "r.yaml", tones, model=sizes | chunks))
    model = AcousticModel(recipe.features, recipe.model, len(recipe.tokenizer.build()))
    write_model_folder(tmp_path / "model", recipe, model, {})
    assert (tmp_path / "model" / STREAM).is_file()
    done = steno("export", tmp_path / "model", "--to", tmp_path / "out", "--format", "sherpa-onnx")
    assert done.code == 0
    assert "for whole files only" in done.err
    assert not (tmp_path / "out" / STREAM).exists()
    assert "which sherpa-onnx's entry for streams cannot hand over" in (tmp_path / "out" / "README.md").read_text()
    sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(tmp_path / "out" / "model.onnx"), tokens=str(tmp_path / "out" / "tokens.txt")
    )
