"""A run that is stopped in any way goes on to the very numbers of one that was not."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from steno.errors import ManifestError, ModelError, RecipeError
from steno.runtime.folder import read_config
from steno.training import checkpoint
from steno.training.trainer import LAST

DRIVER = Path(__file__).with_name("driver.py")
EPOCHS = {"training": {"epochs": 3}}


def run_driver(recipe: Path, run_dir: Path, losses: Path, *more: str, send: str = "0@0") -> subprocess.CompletedProcess:
    """`steno train` in a process of its own."""
    return subprocess.run(
        [sys.executable, str(DRIVER), "train", str(recipe), "--to", str(run_dir), "--no-track", *more],
        env={**os.environ, "STENO_TEST_LOSSES": str(losses), "STENO_TEST_SIGNAL": send},
        capture_output=True,
        text=True,
    )


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    """Everything that the last checkpoint holds."""
    return checkpoint.load(run_dir / LAST)[0]


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def uninterrupted(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """A run folder, and the loss of each of its steps."""
    from steno.training.recipe import load_recipe
    from steno.training.run import train

    folder = tmp_path_factory.mktemp("uninterrupted")
    recorder = tiny.Recorder()
    recipe = load_recipe(tiny.write_recipe(folder / "tiny.yaml", tones, **EPOCHS))
    train(recipe, folder / "run", display=recorder, tracked=False)
    assert len(recorder.losses) >= 12
    return folder / "run", recorder.losses


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_stopped_in_mid_epoch(
    number: int, code: int, tones: Path, tmp_path: Path, uninterrupted: tuple[Path, list[float]], train_tiny: Any
) -> None:
    recipe = tiny.write_recipe(tmp_path / "run.yaml", tones, **EPOCHS)
    steps_an_epoch = len(uninterrupted[1]) // 3
    stop = steps_an_epoch + 2
    done = run_driver(recipe, tmp_path / "run", tmp_path / "losses", send=f"{int(number)}@{stop}")
    assert done.returncode == code, done.stderr
    before = [float(line) for line in (tmp_path / "losses").read_text().split()]
    _, state = checkpoint.load(tmp_path / "run" / LAST)
    assert 0 < state["batch"] < steps_an_epoch
    if number != signal.SIGKILL:
        assert "stopped and saved" in done.stderr
        assert f"--to {tmp_path / 'run'} --resume --no-track" in done.stderr
        assert "Traceback" not in done.stderr
    _, recorder = train_tiny("run", resume=True, **EPOCHS)
    # The step whose checkpoint was not written yet is done once more.
    losses = before[: state["step"]] + recorder.losses
    assert losses == uninterrupted[1]
    assert_same_weights(tmp_path / "run", uninterrupted[0])
    one, other = (path / "model" / "model.safetensors" for path in (tmp_path / "run", uninterrupted[0]))
    assert one.read_bytes() == other.read_bytes()


def test_a_finished_run_stays_as_it_is(tmp_path: Path, train_tiny: Any) -> None:
    first, _ = train_tiny("run", training={"epochs": 1})
    before = (first.model / "model.safetensors").read_bytes()
    again, recorder = train_tiny("run", resume=True, training={"epochs": 1})
    assert recorder.losses == []
    assert (again.model / "model.safetensors").read_bytes() == before
    assert again.scores == {}


@pytest.fixture
def finished(train_tiny: Any, tmp_path: Path) -> Path:
    train_tiny("run", training={"epochs": 1})
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"optimizer": {"lr": 0.02}}, "optimizer.lr was 0.01, is 0.02"),
        ({"training": {"epochs": 2}}, "training.epochs was 1, is 2"),
        ({"model": {"channels": 5}}, "model.channels was 4, is 5"),
        ({"augment": {"speed": [0.9, 1.1]}}, "augment.speed"),
        ({"seed": 4}, "seed was 3, is 4"),
    ],
)
def test_other_settings_are_refused(
    changes: dict[str, Any], named: str, finished: Path, train_tiny: Any, tones: Path
) -> None:
    changes = {"training": {"epochs": 1}, **changes}
    with pytest.raises(RecipeError) as raised:
        train_tiny("run", resume=True, **changes)
    assert named in raised.value.message


def test_settings_that_do_not_change_the_numbers_may_change(finished: Path, train_tiny: Any) -> None:
    train_tiny("run", resume=True, training={"epochs": 1, "checkpoint_seconds": 7, "examples": 2}, data={"workers": 1})


LONGER = {"training": {"epochs": 2}, "optimizer": {"lr": 0.02}}


def test_length_and_learning_rate_may_change_if_asked_to(finished: Path, train_tiny: Any) -> None:
    with pytest.raises(RecipeError) as raised:
        train_tiny("run", resume=True, **LONGER)
    assert "--change" in raised.value.hint
    before = checkpoint.load_state(finished / LAST)["step"]
    result, recorder = train_tiny("run", resume=True, change=True, **LONGER)
    assert len(recorder.losses) == before
    told = ["epoch 2, batch 1: optimizer.lr 0.01 to 0.02", "epoch 2, batch 1: training.epochs 1 to 2"]
    assert [message for message in recorder.messages if message.startswith("changed")] == [
        f"changed at {line}" for line in told
    ]
    provenance = read_config(result.model).provenance
    assert (provenance["epochs"], provenance["changed"]) == (2, told)
    assert told[0] in (result.model / "README.md").read_text()
    # From now on these are the run's settings.
    train_tiny("run", resume=True, **LONGER)
    with pytest.raises(RecipeError, match=r"training.epochs was 2, is 1"):
        train_tiny("run", resume=True, training={"epochs": 1})


def test_what_the_model_is_never_changes(finished: Path, train_tiny: Any) -> None:
    with pytest.raises(RecipeError, match=r"model.channels was 4, is 5") as raised:
        train_tiny("run", resume=True, change=True, training={"epochs": 2}, model={"channels": 5})
    assert "epochs" not in raised.value.message
    assert "--change" not in raised.value.hint


def test_another_manifest_is_refused(tones: Path, tmp_path: Path, train_tiny: Any) -> None:
    data = tiny.corpus(tmp_path / "data", "train", 8, seed=7)
    changes = {"data": {"train": str(data)}, "training": {"epochs": 1}}
    train_tiny("run", **changes)
    lines = data.read_text().splitlines(keepends=True)
    data.write_text("".join(lines[:-1]))
    with pytest.raises(ManifestError, match="train manifest has changed"):
        train_tiny("run", resume=True, **changes)


def test_nothing_to_resume(tmp_path: Path, train_tiny: Any, finished: Path) -> None:
    with pytest.raises(ModelError, match="no run to resume"):
        train_tiny("other", resume=True)
    (finished / LAST).unlink()
    with pytest.raises(ModelError, match="no checkpoint yet"):
        train_tiny("run", resume=True, training={"epochs": 1})


def test_a_damaged_checkpoint_is_named(finished: Path, train_tiny: Any) -> None:
    path = finished / LAST
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="not a checkpoint") as raised:
        train_tiny("run", resume=True, training={"epochs": 1})
    assert str(path) in raised.value.message


def test_a_folder_with_a_run_is_not_trained_into(finished: Path, train_tiny: Any) -> None:
    before = (finished / LAST).read_bytes()
    with pytest.raises(Exception, match="already a run") as raised:
        train_tiny("run", training={"epochs": 1})
    assert "--resume" in str(raised.value)
    assert "--overwrite" in str(raised.value)
    assert (finished / LAST).read_bytes() == before
    (finished / "stray.txt").touch()
    train_tiny("run", overwrite=True, training={"epochs": 1})
    assert not (finished / "stray.txt").exists()


@pytest.mark.parametrize("name", ["notes.txt", "recipe.yaml"])
def test_overwrite_never_deletes_what_is_not_a_run(
    name: str, tones: Path, tmp_path: Path, train_tiny: Callable[..., Any]
) -> None:
    (tmp_path / "run").mkdir()
    tiny.write_recipe(tmp_path / "run" / name, tones)
    with pytest.raises(Exception, match="something else") as raised:
        train_tiny("run", overwrite=True)
    assert "--overwrite" not in str(raised.value)
    assert (tmp_path / "run" / name).is_file()


def test_a_file_is_not_a_folder(tmp_path: Path, train_tiny: Callable[..., Any]) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(Exception, match="is a file"):
        train_tiny("run", overwrite=True)
    assert (tmp_path / "run").read_text() == "mine"
