"""The recogniser over a model folder: right, in order, and without torch or mlflow."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file

from steno import audio
from steno.data.manifest import Manifest
from steno.errors import ModelError
from steno.models.registry import AcousticModel
from steno.runtime import Recognizer, Transcript
from steno.runtime.files import expand, transcribe_files
from steno.runtime.folder import read_config

BLOCKED = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "mlflow", "lightning_fabric", "matplotlib", "onnx", "psutil"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Refuse())
from steno.cli import main
main()
"""


@pytest.fixture
def recordings(tones: Path) -> list[np.ndarray]:
    return [audio.load(u.audio) for u in Manifest(tones / "dev.jsonl")]


def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def heard(transcript: Transcript | None) -> tuple[str, list[tuple[float, float]]] | None:
    """Text and times of a transcript, without the last digits of its scores."""
    if transcript is None:
        return None
    return transcript.text, [(word.start, word.end) for word in transcript.words]


def test_graph_and_weights_of_the_folder_agree(model: Path, recordings: list[np.ndarray]) -> None:
    config = read_config(model)
    net = AcousticModel(config.features, config.model, len(config.tokenizer.build())).eval()
    net.load_state_dict(load_file(model / "model.safetensors"))
    for samples, emission in zip(recordings, Recognizer(model).emissions(recordings), strict=True):
        with torch.inference_mode():
            expected, frames = net(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        assert emission.shape == (int(frames[0]), len(tiny.ALPHABET) + 1)
        np.testing.assert_allclose(emission, expected[0].numpy(), atol=1e-3)


def test_order_and_batching_change_nothing(model: Path, recordings: list[np.ndarray]) -> None:
    recognizer = Recognizer(model, threads=1)
    alone = [heard(recognizer.transcribe([samples])[0]) for samples in recordings]
    assert [heard(found) for found in recognizer.transcribe(recordings)] == alone
    assert [heard(found) for found in recognizer.transcribe(recordings[::-1])] == alone[::-1]
    for batch_seconds in (0.1, 2.0, 3.0):
        assert [heard(found) for found in recognizer.transcribe(recordings, batch_seconds)] == alone


def test_no_recordings_and_the_shortest(model: Path) -> None:
    recognizer = Recognizer(model)
    assert recognizer.transcribe([]) == []
    assert recognizer.emissions([]) == []
    assert isinstance(recognizer.transcribe([np.zeros(1, np.float32)])[0], Transcript)
    with pytest.raises(ValueError, match="no samples"):
        recognizer.transcribe([np.zeros(0, np.float32)])


def test_neither_torch_nor_mlflow_is_needed(model: Path, tones: Path, tmp_path: Path) -> None:
    rows = list(Manifest(tones / "dev.jsonl"))
    expected = Recognizer(model).transcribe([audio.load(rows[0].audio)])[0].text
    for command in (
        ["transcribe", str(rows[0].audio), "--model", str(model)],
        ["evaluate", "--data", str(tones / "dev.jsonl"), "--model", str(model)],
    ):
        done = subprocess.run([sys.executable, "-c", BLOCKED, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (expected if command[0] == "transcribe" else "utterances  6") in done.stdout


def test_a_bad_file_keeps_its_place_and_the_others_go_on(model: Path, tones: Path, tmp_path: Path) -> None:
    good = [u.audio for u in Manifest(tones / "dev.jsonl")]
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    sources: list[audio.Source] = [tmp_path / "bad.wav", good[0], good[1].read_bytes(), tmp_path / "gone.wav", good[2]]
    recognizer = Recognizer(model)
    expected = recognizer.transcribe([audio.load(path) for path in good[:3]])
    for group_seconds in (0.0, 2.0, 240.0):
        results = list(transcribe_files(recognizer, sources, group_seconds))
        assert [result.source for result in results] == sources
        found = [heard(result.transcript) for result in results]
        assert found == [None, *map(heard, expected[:2]), None, heard(expected[2])]
        assert [result.error is None for result in results] == [False, True, True, False, True]
    assert list(transcribe_files(recognizer, [])) == []


# ---- folders that cannot be used --------------------------------------------------------------------------


def refused(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as raised:
        Recognizer(folder)
    assert str(folder) in raised.value.message
    return raised.value


def test_no_model_folder(tmp_path: Path) -> None:
    assert "no such model folder" in refused(tmp_path / "nowhere").message
    assert "it has no config.yaml" in refused(tmp_path).message
    assert "steno train" in refused(tmp_path).hint


def test_a_changed_or_missing_graph_is_refused(model: Path, tmp_path: Path) -> None:
    folder = copy(model, tmp_path)
    graph = bytearray((folder / "model.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (folder / "model.onnx").write_bytes(graph)
    assert "SHA-256" in refused(folder).message
    (folder / "model.onnx").unlink()
    assert "missing" in refused(folder).message


def test_a_graph_that_is_none_is_refused(model: Path, tmp_path: Path) -> None:
    from steno.runtime.folder import digest

    folder = copy(model, tmp_path)
    former = digest(folder / "model.onnx")
    (folder / "model.onnx").write_bytes(b"not a graph")
    text = (folder / "config.yaml").read_text().replace(former, digest(folder / "model.onnx"))
    (folder / "config.yaml").write_text(text)
    assert "cannot load it" in refused(folder).message


@pytest.mark.parametrize(
    ("former", "changed", "said"),
    [
        ("format: 1", "format: 2", "`format`"),
        ("kind: log-mel", "kind: log-mal", "`features.kind`"),
        ("rnn_size: 24", "rnn_sise: 24", "did you mean `model.rnn_size`"),
        ("name: tiny", "name: [", "config.yaml:"),
    ],
)
def test_a_changed_config_is_refused(former: str, changed: str, said: str, model: Path, tmp_path: Path) -> None:
    folder = copy(model, tmp_path)
    text = (folder / "config.yaml").read_text()
    assert former in text
    (folder / "config.yaml").write_text(text.replace(former, changed))
    assert said in refused(folder).message


# ---- arguments that stand for several files ---------------------------------------------------------------


def test_files_folders_and_globs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.wav", "a.FLAC", "sub/c.mp3", "notes.txt", "sub/d.txt", "odd[1].wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    monkeypatch.chdir(tmp_path)
    assert expand([str(tmp_path)]) == [str(tmp_path / n) for n in ("a.FLAC", "b.wav", "odd[1].wav", "sub/c.mp3")]
    assert expand(["sub", "b.wav", "-"]) == ["sub/c.mp3", "b.wav", "-"]
    assert expand(["*.wav"]) == ["b.wav", "odd[1].wav"]
    assert expand(["**/*.mp3"]) == ["sub/c.mp3"]
    assert expand(["odd[1].wav", "notes.txt", "gone.wav"]) == ["odd[1].wav", "notes.txt", "gone.wav"]
    for nothing in ("*.ogg", "folder.wav"):
        with pytest.raises(Exception, match="no recording"):
            expand([nothing])


def test_a_name_that_no_file_can_have_keeps_its_place(model: Path) -> None:
    name = "a" * 300 + ".wav"
    assert expand([name]) == [name]
    (result,) = transcribe_files(Recognizer(model), [Path(name)])
    assert result.error is not None
