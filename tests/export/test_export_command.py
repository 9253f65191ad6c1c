"""`steno export`: what it writes runs as it did, and nothing half-done is left behind."""

from pathlib import Path

import numpy as np
import pytest
import tiny

from steno.export.folder import TOKENS
from steno.runtime import Recognizer
from steno.runtime.folder import CARD, ONNX, STREAM, WEIGHTS, read_config

SPOKEN = "ab cd dab"


def text(folder: Path) -> str:
    return Recognizer(folder).transcribe([tiny.speak(SPOKEN, 5)])[0].text


def test_onnx_is_what_runs(model: Path, tmp_path: Path, steno) -> None:
    ran = steno("export", model, "--to", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [CARD, "config.yaml", ONNX, TOKENS]
    assert text(tmp_path / "out") == text(model)
    assert (tmp_path / "out" / TOKENS).read_text().splitlines()[:3] == ["<blank> 0", "▁ 1", "a 2"]
    assert read_config(tmp_path / "out").provenance["export"]["format"] == "onnx"


def test_a_target_with_something_in_it_is_refused(model: Path, tmp_path: Path, steno) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    ran = steno("export", model, "--to", tmp_path / "out")
    assert ran.code == 2
    assert "not empty" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_int8_of_a_model_too_small_for_it_is_refused(model: Path, tones: Path, tmp_path: Path, steno) -> None:
    ran = steno("export", model, "--to", tmp_path / "out", "--format", "onnx-int8", "--data", tones / "dev.jsonl")
    assert ran.code == 2
    assert "8 bits" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights as few as those of the tests' model are brought to 8 bits, too."""
    monkeypatch.setattr("steno.export.quantize._LEAST", 512)


@pytest.mark.usefixtures("few_are_enough")
def test_int8_is_a_model_folder(model: Path, tones: Path, tmp_path: Path, steno) -> None:
    ran = steno("export", model, "--to", tmp_path / "out", "--format", "onnx-int8", "--data", tones / "dev.jsonl")
    assert ran.code == 0, ran.err
    assert "float    WER" in ran.out
    assert "8 bits   WER" in ran.out
    assert "already" not in ran.out
    assert text(tmp_path / "out") == text(model)
    assert not (tmp_path / "out" / WEIGHTS).exists()
    made = read_config(tmp_path / "out").provenance["export"]
    assert made["utterances"] == 6
    assert made["wer"] == pytest.approx(made["wer_float"], abs=0.01)
    assert "## Export" in (tmp_path / "out" / CARD).read_text()


def test_a_model_in_8_bits_is_not_called_float(streaming: Path, tones: Path, tmp_path: Path, steno) -> None:
    small, again, dev = tmp_path / "small", tmp_path / "again", tones / "dev.jsonl"
    assert steno("export", streaming, "--to", small, "--format", "onnx-int8", "--data", dev, "--margin", 2).code == 0
    assert "wer_float" in read_config(small).provenance["export"]
    ran = steno("export", small, "--to", again, "--format", "onnx-int8", "--data", dev)
    assert ran.code == 0, ran.err
    assert "8-bit weights already" in ran.out
    assert "given    WER" in ran.out
    assert "float" not in ran.out.replace("left in float", "")
    made = read_config(again).provenance["export"]
    assert made["wer"] == made["wer_before"]
    assert made["streaming_wer"] == made["streaming_wer_before"]
    assert not made.keys() & {"wer_float", "streaming_wer_float"}
    assert "which the model had already" in (again / CARD).read_text()
    assert text(again) == text(small)


@pytest.mark.usefixtures("few_are_enough")
def test_int8_that_is_worse_is_refused(model: Path, tones: Path, tmp_path: Path, steno, monkeypatch) -> None:
    import onnx

    from steno.export.quantize import quantized

    def spoilt(graph: onnx.ModelProto) -> onnx.ModelProto:
        graph = quantized(graph)
        for tensor in graph.graph.initializer:
            if tensor.name == "encoder.classifier.bias":
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(tensor.dims, 0, np.float32), tensor.name))
                tensor.raw_data = np.array([100.0, *[0.0] * (tensor.dims[0] - 1)], np.float32).tobytes()
        return graph

    monkeypatch.setattr("steno.export.folder.quantized", spoilt)
    ran = steno("export", model, "--to", tmp_path / "out", "--format", "onnx-int8", "--data", tones / "dev.jsonl")
    assert ran.code == 1
    assert "8 bits   WER 100.0 %" in ran.out
    assert "refused" in ran.err
    assert not (tmp_path / "out").exists()


def test_int8_of_a_streaming_model_streams(streaming: Path, tones: Path, tmp_path: Path, steno) -> None:
    data = ("--data", tones / "dev.jsonl", "--margin", "1")
    assert steno("export", streaming, "--to", tmp_path / "out", "--format", "onnx-int8", *data).code == 0
    assert (tmp_path / "out" / STREAM).is_file()
    session = Recognizer(tmp_path / "out").stream()
    session.accept(tiny.speak(SPOKEN))
    session.finish()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "onnx-int8"), "--data"),
        (("--margin", "0.1"), "does nothing"),
        (("--format", "sherpa-onnx", "--data", "x.jsonl"), "does nothing"),
    ],
)
def test_options_that_do_not_go_together(model: Path, tmp_path: Path, steno, arguments, said: str) -> None:
    ran = steno("export", model, "--to", tmp_path / "out", *arguments)
    assert ran.code == 2
    assert said in ran.err
