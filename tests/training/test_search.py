"""Searching: what may be changed, trials that are cut short or fail, going on, and runs within a run."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import yaml

from steno.errors import RecipeError, StenoError
from steno.training import search as searching
from steno.training.interrupt import Interrupted
from steno.training.recipe import Recipe, load_recipe
from steno.training.search import Search, search
from steno.training.search_space import Choice, Range, merged, read_space, split

# ---- the space -------------------------------------------------------------------------------------------------


def test_ranges_choices_and_what_is_set() -> None:
    space, fixed = split(
        ["optimizer.lr=1e-4..1e-2", "model.rnn_size=16..32", "model.stem_strides=[2, 2]|[2, 1]", "training.epochs=2"]
    )
    assert space == {
        "optimizer.lr": Range(1e-4, 1e-2, whole=False),
        "model.rnn_size": Range(16, 32, whole=True),
        "model.stem_strides": Choice(("[2, 2]", "[2, 1]")),
    }
    assert fixed == ["training.epochs=2"]
    assert isinstance(space["optimizer.lr"], Range)
    assert space["optimizer.lr"].logarithmic
    assert not Range(16, 32, whole=True).logarithmic
    assert not Range(0, 1, whole=False).logarithmic
    assert split(["data.train=../x/m.jsonl"]) == ({}, ["data.train=../x/m.jsonl"])


def test_a_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("optimizer.lr: 1e-4..1e-2\nmodel.rnn_size: [16, 32]\ntraining.average: ema|best\n")
    space = read_space(path)
    assert space["optimizer.lr"] == Range(1e-4, 1e-2, whole=False)
    assert space["model.rnn_size"] == Choice(("16", "32"))
    assert space["training.average"] == Choice(("ema", "best"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["optimizer.lr=2..1"], "empty range"),
        (["model.rnn_size=8|"], "empty choice"),
        (["a=1..2", "a=2..3"], "searched twice"),
        (["training.epochs=2"], "nothing to change"),
    ],
)
def test_spaces_that_cannot_be(given: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        merged({}, split(given)[0])


def test_files_that_are_no_space(tmp_path: Path) -> None:
    for text in ("a: 3", "a: [1]", "a: {low: 1}"):
        (tmp_path / "space.yaml").write_text(text)
        with pytest.raises(RecipeError, match="neither a range nor choices"):
            read_space(tmp_path / "space.yaml")
    with pytest.raises(RecipeError, match="searched twice"):
        merged({"a": Choice(("1", "2"))}, {"a": Choice(("1", "2"))})


# ---- trials ----------------------------------------------------------------------------------------------------


@pytest.fixture
def wanted(tones: Path, tmp_path: Path) -> Search:
    """A search of the learning rate over four epochs."""
    recipe = tiny.write_recipe(tmp_path / "r.yaml", tones, tracking={"register_as": "never"})
    space, fixed = split(["optimizer.lr=1e-4..1e-1", "training.epochs=4"])
    return Search(recipe, tuple(fixed), space)


@pytest.fixture
def trained_with(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Training is replaced: dev WER falls to the learning rate's distance from 1e-2; what it was called with."""
    calls: list[dict[str, Any]] = []

    def train(recipe: Recipe, run_dir: Path, *, display: Any, **more: Any) -> Any:
        calls.append({"recipe": recipe, "run_dir": run_dir, **more})
        (run_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
        wer = min(1.0, abs(recipe.optimizer.lr - 1e-2) * 10)
        for epoch in range(1, recipe.training.epochs + 1):
            display.summary(epoch, {"dev_wer": wer + 1 / epoch}, [])
        return SimpleNamespace(scores={"dev": SimpleNamespace(wer=wer)})

    monkeypatch.setattr(searching, "train", train)
    return calls


def test_the_best_trial_becomes_a_recipe(wanted: Search, trained_with: list[Any], tmp_path: Path) -> None:
    found = search(wanted, tmp_path / "s", 4, tracked=False)
    assert [outcome.number for outcome in found] == list(range(4))
    done = [outcome for outcome in found if outcome.state == "complete"]
    best = min(done, key=lambda outcome: outcome.wer or 0)
    recipe = load_recipe(tmp_path / "s" / "best.yaml")
    assert recipe.optimizer.lr == pytest.approx(float(best.settings["optimizer.lr"]))
    assert recipe.training.epochs == 4
    assert recipe.tracking.register_as == "never"
    assert recipe.name == "tiny"
    assert all(call["recipe"].tracking.register_as is None for call in trained_with)
    assert len({call["recipe"].optimizer.lr for call in trained_with}) == 4
    assert len({call["recipe"].name for call in trained_with}) == 4
    assert not list((tmp_path / "s").glob("trial-*/checkpoints"))


def test_what_is_worse_than_most_is_cut_short(wanted: Search, trained_with: list[Any], tmp_path: Path) -> None:
    lines: list[str] = []
    found = search(wanted, tmp_path / "s", 10, say=lines.append, tracked=False)
    pruned = [outcome for outcome in found if outcome.state == "pruned"]
    assert pruned
    assert all(outcome.number >= 4 for outcome in pruned)
    assert sum("cut short" in line for line in lines) == len(pruned)


def test_a_search_goes_on_where_it_stopped(
    wanted: Search, trained_with: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(wanted, tmp_path / "s", 2, tracked=False)
    inner: Callable[..., Any] = searching.train

    def stopped(*arguments: Any, **more: Any) -> Any:
        inner(*arguments, **more)
        raise Interrupted

    monkeypatch.setattr(searching, "train", stopped)
    with pytest.raises(Interrupted):
        search(wanted, tmp_path / "s", 4, tracked=False)
    monkeypatch.setattr(searching, "train", inner)
    found = search(wanted, tmp_path / "s", 4, tracked=False)
    assert len(found) == 4
    rates = [call["recipe"].optimizer.lr for call in trained_with]
    assert len(rates) == 5
    assert rates[2] == rates[3]  # the one that was stopped is tried again
    assert len(set(rates)) == 4
    assert search(wanted, tmp_path / "s", 4, tracked=False) == found
    assert len(trained_with) == 5


def test_a_trial_that_died_with_its_process_is_tried_again(
    wanted: Search, trained_with: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: Callable[..., Any] = searching.train

    def dies(*arguments: Any, **more: Any) -> Any:
        inner(*arguments, **more)
        raise SystemExit(9)

    monkeypatch.setattr(searching, "train", dies)
    with pytest.raises(SystemExit):
        search(wanted, tmp_path / "s", 2, tracked=False)
    monkeypatch.setattr(searching, "train", inner)
    assert len(search(wanted, tmp_path / "s", 2, tracked=False)) == 2
    rates = [call["recipe"].optimizer.lr for call in trained_with]
    assert rates[0] == rates[1] != rates[2]


def test_a_trial_that_fails_costs_no_other(
    wanted: Search, trained_with: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: Callable[..., Any] = searching.train

    def second_fails(recipe: Recipe, *arguments: Any, **more: Any) -> Any:
        if recipe.name.endswith("0001"):
            raise StenoError("too many utterances")
        return inner(recipe, *arguments, **more)

    monkeypatch.setattr(searching, "train", second_fails)
    lines: list[str] = []
    found = search(wanted, tmp_path / "s", 3, say=lines.append, tracked=False)
    assert [outcome.state for outcome in found] == ["complete", "failed", "complete"]
    assert "trial 1: failed: too many utterances" in lines


def test_when_every_trial_fails_it_is_an_error(wanted: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise StenoError("no")

    monkeypatch.setattr(searching, "train", fails)
    with pytest.raises(StenoError, match="no trial could be trained"):
        search(wanted, tmp_path / "s", 2, tracked=False)


def test_trials_are_runs_within_the_searchs_run(
    wanted: Search, trained_with: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    search(wanted, tmp_path / "s", 2)
    from mlflow import MlflowClient

    parent = yaml.safe_load((tmp_path / "s" / "tracking.json").read_text())["run_id"]
    run = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").get_run(parent)
    assert run.info.run_name == "search tiny"
    assert run.data.params["space.optimizer.lr"] == "0.0001..0.1"
    assert run.data.metrics["best_dev_wer"] <= run.data.metrics["trial_dev_wer"]
    assert [call["tags"]["mlflow.parentRunId"] for call in trained_with] == [parent, parent]


def test_another_search_in_the_folder_is_refused(wanted: Search, trained_with: list[Any], tmp_path: Path) -> None:
    search(wanted, tmp_path / "s", 1, tracked=False)
    other = Search(wanted.recipe, wanted.fixed, {"optimizer.lr": Range(1e-3, 1e-1, whole=False)})
    with pytest.raises(StenoError, match="another recipe or another space"):
        search(other, tmp_path / "s", 2, tracked=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(StenoError, match="something else"):
        search(wanted, tmp_path / "mine", 1, tracked=False)


def test_a_key_that_is_none_is_named_before_the_first_trial(tones: Path, tmp_path: Path) -> None:
    recipe = tiny.write_recipe(tmp_path / "r.yaml", tones)
    with pytest.raises(RecipeError, match=r"did you mean `optimizer.lr`"):
        search(Search(recipe, (), {"optimizer.lrr": Choice(("1", "2"))}), tmp_path / "s", 1, tracked=False)
    assert not (tmp_path / "s").exists()


def test_a_choice_that_cannot_be_is_named_before_the_first_trial(tones: Path, tmp_path: Path) -> None:
    recipe = tiny.write_recipe(tmp_path / "r.yaml", tones)
    space, fixed = split(["optimizer.kind=adamw|sgd"])
    with pytest.raises(RecipeError, match=r"optimizer\.kind"):
        search(Search(recipe, tuple(fixed), space), tmp_path / "search", 2, tracked=False)
    assert not (tmp_path / "search").exists()


def test_the_command_trains_for_real(tones: Path, tmp_path: Path, steno: Any) -> None:
    recipe = tiny.write_recipe(tmp_path / "r.yaml", tones, data={"limit": 4}, training={"epochs": 1})
    folder = tmp_path / "s"
    done = steno("search", recipe, "optimizer.lr=1e-3|1e-2", "--trials", 2, "--to", folder, "--no-track")
    assert done.code == 0, done.err
    assert f"next: steno train {folder / 'best.yaml'}" in done.out.replace("\n", " ")
    assert (folder / "trial-0000" / "model" / "model.onnx").is_file()
    refused = steno("search", recipe, "training.epochs=3")
    assert refused.code == 2
    assert "nothing to change" in refused.err
