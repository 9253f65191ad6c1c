"""Real speech through loading, model, graph, and a first few steps of training."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steno import audio
from steno.data.find import find_utterance
from steno.data.loading import BatchLoader, UtteranceDataset
from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.features.config import FeatureConfig
from steno.models.config import ResCnnBiGruConfig
from steno.models.export import export_onnx
from steno.models.registry import AcousticModel
from steno.runtime import Recognizer
from steno.text import ENGLISH, CharTokenizer, normalize

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH does not name a LibriSpeech folder")


def shortest(part: str, count: int) -> list[Utterance]:
    """The shortest utterances of the first chapters of a part."""
    found = []
    for transcripts in sorted((Path(str(ROOT)) / part).rglob("*.trans.txt"))[:3]:
        files = {path.stem: path for path in transcripts.parent.iterdir() if audio.is_audio(path)}
        for line in transcripts.read_text(encoding="utf-8").splitlines():
            name, text = line.split(" ", 1)
            found.append(Utterance(name, files[name], audio.duration(files[name]), normalize(text)))
    return sorted(found, key=lambda utterance: utterance.duration)[:count]


@pytest.mark.parametrize("part", ["train-clean-100", "dev-clean", "test-clean"])
def test_alone_or_in_a_batch_and_in_the_graph_the_same(part: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AcousticModel(FeatureConfig(n_mels=40), ResCnnBiGruConfig(channels=8, blocks=2, rnn_size=64), 29).eval()
    recordings = [torch.from_numpy(audio.load(utterance.audio)) for utterance in shortest(part, 4)]
    lengths = torch.tensor([len(recording) for recording in recordings])
    samples = torch.zeros(len(recordings), int(lengths.max()))
    for row, recording in enumerate(recordings):
        samples[row, : len(recording)] = recording
    mean, std = torch.full((40,), -5.0), torch.full((40,), 4.0)
    model.frontend.set_statistics(mean, std)
    with torch.inference_mode():
        together, frames = model(samples, lengths)
        for row, recording in enumerate(recordings):
            alone, count = model(recording[None], lengths[row : row + 1])
            assert int(count) == int(frames[row])
            torch.testing.assert_close(together[row, : int(count)], alone[0], rtol=1e-5, atol=1e-5)
    assert export_onnx(model, tmp_path / "model.onnx") < 1e-4


def test_workers_load_the_same_batches(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", shortest("train-clean-100", 6))
    dataset = UtteranceDataset(Manifest(tmp_path / "m.jsonl"), CharTokenizer(ENGLISH))
    batches = [np.array([0, 3, 5]), np.array([1, 2, 4])]
    here, there = (list(BatchLoader(dataset, workers).load(batches)) for workers in (0, 1))
    for one, other in zip(here, there, strict=True):
        assert not one.failures
        assert torch.equal(one.samples_bn, other.samples_bn)
        assert torch.equal(one.labels_bl, other.labels_bl)


def test_a_few_steps_lower_the_loss_and_the_folder_transcribes(tmp_path: Path, train_tiny: Any) -> None:
    write_manifest(tmp_path / "train.jsonl", shortest("train-clean-100", 8))
    write_manifest(tmp_path / "dev.jsonl", shortest("dev-clean", 4))
    result, recorder = train_tiny(
        data={"train": str(tmp_path / "train.jsonl"), "dev": str(tmp_path / "dev.jsonl"), "batch_seconds": 40},
        tokenizer={"alphabet": ENGLISH},
        features={"n_mels": 40},
        training={"epochs": 6, "checkpoint_seconds": 100},
    )
    rows = recorder.rows
    assert rows[-1]["train_loss"] < 0.8 * rows[0]["train_loss"]
    assert not recorder.said("skipped")
    utterance = find_utterance(Path(str(ROOT)), "1089-134686-0000")
    assert utterance.text is not None
    assert utterance.text.startswith("he hoped there would be stew for dinner")
    (transcript,) = Recognizer(result.model).transcribe([audio.load(utterance.audio)])
    assert set(transcript.text) <= set(ENGLISH)
