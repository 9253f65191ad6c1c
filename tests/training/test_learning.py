"""The loop learns, keeps the weights that it is asked to keep, and stops when it should."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import yaml
from safetensors.torch import load_file

from steno.data.manifest import Manifest
from steno.evaluation.measure import evaluate_manifest
from steno.runtime import Recognizer
from steno.training import checkpoint
from steno.training.trainer import LAST

TWO = {"training": {"epochs": 2}}


def test_it_learns_the_tones(trained: tuple[Path, tiny.Recorder], tones: Path) -> None:
    run_dir, recorder = trained
    losses = recorder.losses
    assert sum(losses[-6:]) < 0.1 * sum(losses[:6])
    assert recorder.rows[-1]["dev_wer"] < 0.2
    for part in ("train", "dev"):
        scores, left_out = evaluate_manifest(Recognizer(run_dir / "model"), Manifest(tones / f"{part}.jsonl"))
        assert scores.wer < 0.2
        assert not left_out


def test_what_a_run_leaves(trained: tuple[Path, tiny.Recorder]) -> None:
    run_dir, _ = trained
    assert sorted(path.name for path in run_dir.iterdir()) == ["checkpoints", "finished", "model", "recipe.yaml"]
    names = {path.name for path in (run_dir / "model").iterdir()}
    assert names == {"config.yaml", "model.safetensors", "model.onnx", "README.md"}
    config = yaml.safe_load((run_dir / "model/config.yaml").read_text())
    made = config["provenance"]
    assert made["train"]["utterances"] == 24
    assert made["epochs"] == 25
    assert made["measured"]["dev"]["utterances"] == 6
    card = (run_dir / "model/README.md").read_text()
    assert made["train"]["digest"] in card
    assert "| dev | 6 |" in card


def kept(run_dir: Path) -> set[str]:
    return {path.name for path in (run_dir / "checkpoints").iterdir()}


def test_the_best_are_kept_and_only_they(train_tiny: Any) -> None:
    result, recorder = train_tiny(training={"epochs": 6, "keep_best": 2})
    ranked = sorted(
        enumerate(recorder.rows, start=1), key=lambda pair: (pair[1]["dev_wer"], pair[1]["dev_cer"], pair[0])
    )
    expected = {f"epoch-{number:04d}.safetensors" for number, _ in ranked[:2]}
    assert kept(result.run_dir) == expected | {"last.safetensors"}
    assert all(path.suffix == ".safetensors" for path in (result.run_dir / "checkpoints").iterdir())


def weights(result: Any) -> dict[str, torch.Tensor]:
    """The parameters of the model folder."""
    tensors = load_file(result.model / "model.safetensors")
    return {name: value for name, value in tensors.items() if not name.startswith("frontend.")}


def test_final_weights_none_are_the_best_epochs(train_tiny: Any) -> None:
    result, _ = train_tiny(training={"epochs": 3, "average": "none", "keep_best": 1})
    (name,) = kept(result.run_dir) - {"last.safetensors"}
    tensors, _ = checkpoint.load(result.run_dir / "checkpoints" / name)
    assert all(torch.equal(value, tensors[key]) for key, value in weights(result).items())


def test_final_weights_best_are_the_mean_of_the_best_epochs(train_tiny: Any) -> None:
    result, _ = train_tiny(training={"epochs": 4, "average": "best", "keep_best": 3})
    names = sorted(kept(result.run_dir) - {"last.safetensors"})
    assert len(names) == 3
    sets = [checkpoint.load(result.run_dir / "checkpoints" / name)[0] for name in names]
    for key, value in weights(result).items():
        torch.testing.assert_close(value, torch.stack([tensors[key] for tensors in sets]).mean(dim=0))


def test_final_weights_ema_are_the_average_that_was_validated(train_tiny: Any) -> None:
    result, recorder = train_tiny(training={"epochs": 1, "average": "ema"})
    tensors, _ = checkpoint.load(result.run_dir / LAST)
    average = checkpoint.unprefixed("average", tensors)
    current = checkpoint.unprefixed("model", tensors)
    found = weights(result)
    assert all(torch.equal(value, average[key]) for key, value in found.items())
    assert any(not torch.equal(value, current[key]) for key, value in found.items())
    assert result.scores["dev"].wer == pytest.approx(recorder.rows[-1]["dev_wer"])


def test_early_stopping(train_tiny: Any) -> None:
    result, recorder = train_tiny(optimizer={"lr": 1e-12}, training={"epochs": 9, "patience": 2})
    assert len(recorder.rows) == 3  # the first is the best; then two without a gain
    assert recorder.said("stopping early: dev WER has not fallen for 2 epochs")
    assert result.scores["dev"].utterances


def test_the_same_seed_gives_the_same_and_another_another(train_tiny: Any) -> None:
    first, same, other = (train_tiny(name, seed=seed, **TWO)[1] for name, seed in (("a", 3), ("b", 3), ("c", 4)))
    assert first.losses == same.losses
    assert first.losses != other.losses


def test_workers_change_no_number(train_tiny: Any) -> None:
    augment = {"speed": [0.9, 1.1], "noise": {"probability": 0.5}, "gain_db": [-3, 3], "mask": {"time_width": 0.2}}
    alone, with_workers = (
        train_tiny(f"w{n}", data={"workers": n}, augment=augment, training={"epochs": 1})[1] for n in (0, 1)
    )
    assert alone.losses == with_workers.losses


def test_every_kind_of_feature_trains(train_tiny: Any) -> None:
    for features in (
        {"kind": "mfcc", "n_mfcc": 13, "n_mels": 20, "hop_length": 200},
        {"kind": "spectrogram", "n_fft": 128, "normalize": "none"},
        {"kind": "log-mel", "sample_rate": 8000, "n_fft": 200, "hop_length": 80, "n_mels": 16},
    ):
        result, recorder = train_tiny("x", features=features, training={"epochs": 1}, overwrite=True)
        assert recorder.rows[0]["dev_wer"] == pytest.approx(result.scores["dev"].wer)


def test_another_sample_rate_learns_too(train_tiny: Any) -> None:
    features = {"kind": "log-mel", "sample_rate": 8000, "n_fft": 200, "hop_length": 80, "n_mels": 16}
    _, recorder = train_tiny(features=features, training={"epochs": 12, "checkpoint_seconds": 100})
    assert recorder.losses[-1] < 0.6 * recorder.losses[0]


def test_bf16_trains(train_tiny: Any) -> None:
    _, recorder = train_tiny(training={"epochs": 4, "precision": "bf16"})
    _, exact = train_tiny("exact", training={"epochs": 4, "precision": "32"})
    assert recorder.losses != exact.losses
    assert recorder.losses == pytest.approx(exact.losses, rel=0.2)
    assert recorder.losses[-1] < recorder.losses[0]


def test_limit_takes_the_first(train_tiny: Any) -> None:
    _, recorder = train_tiny(data={"limit": 5}, training={"epochs": 1})
    assert len(recorder.losses) == 2
    assert recorder.said("tiny: 5 utterances")


def test_utterances_that_are_too_long_are_named(train_tiny: Any, tones: Path) -> None:
    durations = Manifest(tones / "train.jsonl").durations
    limit = float(sorted(durations)[-3])
    _, recorder = train_tiny(data={"max_seconds": limit}, training={"epochs": 1})
    named = {message.split()[2].rstrip(":") for message in recorder.said("left out")}
    assert named == {u.id for u in Manifest(tones / "train.jsonl") if u.duration > limit + 1e-5}
    with pytest.raises(Exception, match="every utterance is longer"):
        train_tiny("none", data={"max_seconds": 0.01})


def test_the_test_set_is_measured_too(train_tiny: Any, tones: Path) -> None:
    result, _ = train_tiny(data={"test": str(tones / "train.jsonl")}, training={"epochs": 1})
    assert set(result.scores) == {"dev", "test"}
    assert len(result.scores["test"].utterances) == 24


def test_an_epoch_of_two_passes_is_two_epochs_that_are_measured_once(train_tiny: Any) -> None:
    _, apart = train_tiny("apart", **TWO)
    _, together = train_tiny("together", data={"passes": 2}, training={"epochs": 1})
    assert together.losses == apart.losses
    assert (len(together.rows), len(apart.rows)) == (1, 2)
    assert together.rows[-1]["dev_loss"] == apart.rows[-1]["dev_loss"]


def test_it_learns_to_write_nothing_where_nobody_speaks(train_tiny: Any) -> None:
    silence = {"probability": 0.15, "seconds": [0.5, 1.0]}
    result, recorder = train_tiny(augment={"silence": silence}, training={"epochs": 40})
    assert recorder.rows[-1]["dev_wer"] < 0.5
    assert not recorder.said("could not be used")
    generator = np.random.default_rng(1)
    noises = [0.01 * generator.standard_normal(16_000).astype(np.float32), np.zeros(16_000, np.float32)]
    assert [found.text for found in Recognizer(result.model).transcribe(noises)] == ["", ""]
