"""`steno train`: what it prints, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.training.recipe import Recipe


@pytest.fixture
def recipe(tones: Path, tmp_path: Path) -> Path:
    return tiny.write_recipe(tmp_path / "tiny.yaml", tones, training={"epochs": 1})


def test_it_trains_measures_and_says_what_is_next(
    steno: Callable, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = steno("train", recipe, "training.epochs=2", "description=a = b", "--no-track")
    assert ran.code == 0, ran.err
    assert "tiny: 24 utterances" in ran.out
    assert "epoch   2   train loss" in ran.out
    assert "target" in ran.out
    assert "predicted" in ran.out
    assert "dev: WER" in ran.out
    assert "model: runs/tiny/model" in ran.out
    assert "steno transcribe FILE --model runs/tiny/model" in ran.out
    assert (tmp_path / "runs/tiny/model/model.onnx").is_file()
    assert not list(tmp_path.glob("*mlflow*"))


def test_a_run_is_continued_replaced_or_refused(steno: Callable, recipe: Path, tmp_path: Path) -> None:
    common = (recipe, "--to", tmp_path / "run", "--no-track")
    assert steno("train", *common).code == 0
    refused = steno("train", *common)
    assert refused.code == 2
    assert "already a run" in refused.err
    kept = tmp_path / "run" / "model" / "note.txt"
    kept.write_text("what was done with the model since")
    finished = steno("train", *common, "--resume")
    assert finished.code == 0
    assert "the run was finished after epoch 1; its model stays as it is" in finished.out + finished.err
    assert kept.exists()
    changed = steno("train", *common, "--resume", "optimizer.lr=0.5")
    assert changed.code == 2
    assert "optimizer.lr was 0.01, is 0.5" in changed.err
    assert steno("train", *common, "--resume", "--change", "optimizer.lr=0.5").code == 0
    longer = steno("train", *common, "--resume", "--change", "optimizer.lr=0.5", "training.epochs=2")
    assert "epoch   2   train loss" in longer.out
    assert not kept.exists()
    alone = steno("train", *common, "--change", "optimizer.lr=0.6")
    assert alone.code == 2
    assert "--change is for a run that is continued" in alone.err
    both = steno("train", *common, "--resume", "--overwrite")
    assert both.code == 2
    assert "exclude each other" in both.err
    assert steno("train", *common, "--overwrite").code == 0


def test_mistakes(steno: Callable, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    run = ("--no-track", "--to", tmp_path / "run")
    for arguments, said in (
        ((recipe, "training.epoch=3", *run), "did you mean `training.epochs`?"),
        ((recipe, "training.epochs", *run), "not of the form key=value"),
        ((tmp_path / "none.yaml", *run), "No such file"),
        ((recipe, "data.train=none.jsonl", *run), "none.jsonl: No such file"),
        ((recipe, "training.device=cuda", *run), "no GPU"),
        ((recipe, "--no-track", "--overwrite", "--to", tmp_path / "mine"), "something else"),
        ((recipe, "--no-track", "--resume", "--to", tmp_path / "new"), "no run to resume"),
    ):
        ran = steno("train", *arguments)
        assert ran.code == 2, (arguments, ran)
        assert said in ran.err
        assert "Traceback" not in ran.err
    assert (tmp_path / "mine" / "thesis.txt").is_file()


def test_many_bad_utterances_end_with_code_2(steno: Callable, tones: Path, recipe: Path, tmp_path: Path) -> None:
    rows = [Utterance(f"gone{n}", tmp_path / f"gone{n}.wav", 1.0, "ab") for n in range(8)]
    write_manifest(tmp_path / "m.jsonl", [*Manifest(tones / "train.jsonl"), *rows])
    ran = steno("train", recipe, f"data.train={tmp_path / 'm.jsonl'}", "--no-track", "--to", tmp_path / "run")
    assert ran.code == 2
    assert "of 32 utterances could not be used" in ran.err
    assert "skipped gone" in ran.out
    assert "Traceback" not in ran.err


def test_a_name_in_the_registry_is_taken_as_it_is(
    steno: Callable, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steno.training import remote, run

    seen: list[Recipe] = []

    def stop(settings: Recipe, *_: object, **__: object) -> object:
        seen.append(settings)
        return run.RunResult(tmp_path, tmp_path, {}, None, None)

    monkeypatch.setattr(remote, "train", stop)
    for name in ("null", "007", "my model: v2"):
        assert steno("train", recipe, "--register", name, "--to", tmp_path / "run").code == 0
    assert [settings.tracking.register_as for settings in seen] == ["null", "007", "my model: v2"]
