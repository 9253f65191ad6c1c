"""Utterances that cannot be used are named and skipped; when they are many, the run stops."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny
import torch

from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.errors import ManifestError, StenoError
from steno.training.recipe import load_recipe
from steno.training.state import RunState
from steno.training.trainer import Trainer

ONE = {"epochs": 1}


@pytest.fixture
def spoiled(tones: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the training set with further utterances: ``spoiled(corrupt=1, nan=1, overlong=1)``."""

    def make(corrupt: int = 0, nan: int = 0, overlong: int = 0) -> Path:
        rows = list(Manifest(tones / "train.jsonl"))
        for n in range(corrupt):
            (tmp_path / f"corrupt{n}.wav").write_bytes(b"RIFF" + bytes(1000))
            rows.append(Utterance(f"corrupt{n}", tmp_path / f"corrupt{n}.wav", 0.7 + 0.05 * n, "ab"))
        for n in range(nan):
            samples = np.full(8000, np.nan, np.float32)
            soundfile.write(tmp_path / f"nan{n}.wav", samples, tiny.RATE, subtype="FLOAT")
            rows.append(Utterance(f"nan{n}", tmp_path / f"nan{n}.wav", 0.5, "ab"))
        for n in range(overlong):
            row = tiny.record(tmp_path / f"overlong{n}.wav", "ab")
            rows.append(Utterance(f"overlong{n}", row.audio, row.duration, "aabbccdd" * 5))
        write_manifest(tmp_path / "spoiled.jsonl", rows)
        return tmp_path / "spoiled.jsonl"

    return make


def test_each_is_named_once_and_training_goes_on(spoiled: Callable[..., Path], train_tiny: Any) -> None:
    data = spoiled(corrupt=1, nan=1, overlong=1)
    result, recorder = train_tiny(data={"train": str(data)}, training={"epochs": 2, "max_bad": 0.2})
    assert all(np.isfinite(recorder.losses))
    assert [row["skipped_utterances"] for row in recorder.rows] == [3, 3]
    assert len(recorder.said("skipped")) == 3
    assert "cannot be decoded" in recorder.said("skipped corrupt0: ")[0]
    assert "not numbers" in recorder.said("skipped nan0: ")[0]
    assert "its transcript needs 60 frames, the recording has 9" in recorder.said("skipped overlong0: ")[0]
    assert result.scores["dev"].utterances


def test_the_others_train_as_if_the_bad_one_were_not_there(
    spoiled: Callable[..., Path], tones: Path, train_tiny: Any
) -> None:
    """In one batch, without dropout, the loss and the weights are those of the good utterances alone."""
    changes: dict[str, Any] = {"model": {"dropout": 0.0}, "training": {"epochs": 2, "max_bad": 0.5}}
    whole = {"batch_size": 100, "batch_seconds": 1000}
    # The statistics see a recording that has a transcript too long for it; without them both runs start alike.
    plain = {"normalize": "none"}
    _, clean = train_tiny("clean", data=whole, features=plain, **changes)
    data = {**whole, "train": str(spoiled(corrupt=2, overlong=3))}
    _, dirty = train_tiny("dirty", data=data, features=plain, **changes)
    assert dirty.losses == pytest.approx(clean.losses, rel=1e-4)


def test_a_batch_of_nothing_but_bad_ones_changes_nothing(spoiled: Callable[..., Path], train_tiny: Any) -> None:
    data = {"train": str(spoiled(corrupt=2, overlong=2)), "batch_size": 1}
    _, recorder = train_tiny(data=data, training={"epochs": 1, "max_bad": 0.5})
    assert len(recorder.losses) == 28
    assert sorted(recorder.losses)[:4] == [0, 0, 0, 0]
    assert all(np.isfinite(recorder.losses))


def test_many_stop_the_run(spoiled: Callable[..., Path], train_tiny: Any) -> None:
    data = spoiled(corrupt=4, overlong=4)
    with pytest.raises(StenoError) as raised:
        train_tiny(data={"train": str(data)}, training={"epochs": 3, "max_bad": 0.1})
    assert "of 32 utterances could not be used" in raised.value.message
    assert "corrupt" in raised.value.message or "overlong" in raised.value.message
    assert f"steno data check {data}" in raised.value.hint


def test_a_bad_dev_utterance_is_named_and_left_out(tones: Path, tmp_path: Path, train_tiny: Any) -> None:
    rows = list(Manifest(tones / "dev.jsonl"))
    rows.append(Utterance("gone", tmp_path / "gone.wav", 1.0, "ab"))
    write_manifest(tmp_path / "dev.jsonl", rows)
    result, recorder = train_tiny(data={"dev": str(tmp_path / "dev.jsonl")}, training=ONE)
    assert "no such file" in recorder.said("skipped gone: ")[0]
    assert "no such file" in recorder.said("dev: left out gone: ")[0]
    assert len(result.scores["dev"].utterances) == len(rows) - 1


def test_a_dev_set_of_which_nothing_can_be_read_is_no_perfect_score(tmp_path: Path, train_tiny: Any) -> None:
    write_manifest(tmp_path / "dev.jsonl", [Utterance("gone", tmp_path / "gone.wav", 1.0, "ab")])
    with pytest.raises(ManifestError, match="no utterance could be scored: gone"):
        train_tiny(data={"dev": str(tmp_path / "dev.jsonl")}, training=ONE)


def test_a_test_set_of_which_nothing_can_be_read_costs_no_training(tmp_path: Path, train_tiny: Any) -> None:
    write_manifest(tmp_path / "test.jsonl", [Utterance("gone", tmp_path / "gone.wav", 1.0, "ab")])
    result, recorder = train_tiny(data={"test": str(tmp_path / "test.jsonl")}, training=ONE)
    assert set(result.scores) == {"dev"}
    assert recorder.said("test: not measured")
    assert (result.model / "README.md").is_file()


def test_a_manifest_without_text_is_refused(tones: Path, tmp_path: Path, train_tiny: Any) -> None:
    for text in (None, "", "  "):
        rows = [Utterance(u.id, u.audio, u.duration, text) for u in Manifest(tones / "train.jsonl")]
        write_manifest(tmp_path / "silent.jsonl", rows)
        for part in ("train", "dev"):
            with pytest.raises(ManifestError, match=f"no utterance of the {part} set has text"):
                train_tiny("silent", data={part: str(tmp_path / "silent.jsonl")}, training=ONE)


# ---- collapse --------------------------------------------------------------------------------------------------


def test_a_model_that_says_nothing_is_named_once_with_the_remedy(tmp_path: Path, train_tiny: Any) -> None:
    """Planted: recordings of nothing but noise, one letter each, of which blanks alone can be learnt."""
    generator = np.random.default_rng(0)
    rows = []
    for n in range(8):
        soundfile.write(tmp_path / f"{n}.wav", 0.01 * generator.standard_normal(3 * tiny.RATE), tiny.RATE)
        rows.append(Utterance(str(n), tmp_path / f"{n}.wav", 3.0, "abcd"[n % 4]))
    write_manifest(tmp_path / "noise.jsonl", rows)
    data = {"train": str(tmp_path / "noise.jsonl"), "dev": str(tmp_path / "noise.jsonl")}
    training = {"epochs": 12, "checkpoint_seconds": 1000}
    _, recorder = train_tiny(data=data, training=training, schedule={"warmup": 0.5}, optimizer={"lr": 0.03})
    shares = [row["dev_blank_share"] for row in recorder.rows]
    assert min(shares[-4:]) > 0.995
    (said,) = recorder.said("the model says nothing")
    assert "Lower optimizer.lr" in said
    assert f"steno data check {tmp_path / 'noise.jsonl'}" in said


SILENT, SPEAKING = {"dev_blank_share": 1.0, "dev_loss": 2.9}, {"dev_blank_share": 0.7, "dev_loss": 2.0}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([SILENT] * 5, 0),  # in the first half, the learning rate still rises
        ([SILENT] * 6, 1),
        ([SILENT] * 9, 1),
        ([*[SILENT] * 6, SPEAKING, *[SILENT] * 3], 2),
        ([*[SPEAKING] * 9, SILENT, SILENT], 0),
        ([{**SILENT, "dev_loss": 4 - 0.2 * n} for n in range(9)], 0),  # on its way
        ([{**SILENT, "dev_loss": float("nan")}] * 9, 1),
    ],
)
def test_who_is_named_silent(rows: list[dict[str, float]], told: int, tones: Path, tmp_path: Path) -> None:
    recipe = load_recipe(
        tiny.write_recipe(tmp_path / "r.yaml", tones, schedule={"warmup": 0.5}), ["training.epochs=10"]
    )
    recorder, manifest = tiny.Recorder(), SimpleNamespace(path="m.jsonl")
    trainer = SimpleNamespace(_recipe=recipe, _display=recorder, _manifest=manifest, _silent=False, state=RunState())
    for row in rows:
        trainer.state.history.append(row)
        trainer.state.epoch += 1
        Trainer._tell_if_silent(trainer)  # type: ignore[arg-type]
    assert len(recorder.said("the model says nothing")) == told


def test_a_gradient_that_stays_not_finite_ends_the_run(train_tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(StenoError) as raised:
        train_tiny(training={"epochs": 9})
    assert "not been finite for 20 steps" in raised.value.message
    assert "lower optimizer.lr" in raised.value.hint


def test_weights_that_grow_without_bound_are_named_with_the_remedy(train_tiny: Any) -> None:
    with pytest.raises(StenoError, match=r"its loss is nan|its loss is inf|not been finite") as raised:
        train_tiny(optimizer={"lr": 1e30}, training={"epochs": 9, "grad_clip": None})
    assert "optimizer.lr" in str(raised.value)
