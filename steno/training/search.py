"""Search of a recipe's settings: trials that train, are watched by dev WER after each epoch, and may be cut short.

The study lies in the search's folder, so that a search that was stopped goes on. Its sampler is TPE (Bergstra et
al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011), its pruner the median of the trials before (Golovin
et al., "Google Vizier", KDD 2017), both of Optuna. Each trial is a run of its own, nested under the search's.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
import yaml
from optuna.trial import FrozenTrial, Trial, TrialState

from steno.config import read_yaml
from steno.errors import RecipeError, StenoError
from steno.tracking.tracker import NullTracker, RunLog, Tracker
from steno.training.display import SilentDisplay
from steno.training.interrupt import Interrupted
from steno.training.recipe import Recipe, dump_recipe, load_recipe
from steno.training.run import train
from steno.training.search_space import Choice, Space

STUDY, SEARCH, BEST = "study.db", "search.yaml", "best.yaml"
_FIRST_TRIALS = 4
"""Trials that run to their end before any is cut short."""
_ERROR = "error"


class Pruned(Interrupted):
    """A trial was worse than most others were at its epoch."""


@dataclass(frozen=True)
class Outcome:
    """One trial: its number from 0, settings, best dev WER so far (None before the first), and how it ended."""

    number: int
    settings: dict[str, str]
    wer: float | None
    state: str

    def __str__(self) -> str:
        rate = "–" if self.wer is None else f"{self.wer:.1%}"
        settings = " ".join(f"{key}={value}" for key, value in self.settings.items())
        return f"trial {self.number}: {self.state}, dev WER {rate}, {settings}"


@dataclass(frozen=True)
class Search:
    """What is searched: a recipe's file, settings that every trial has, and those that differ."""

    recipe: Path
    fixed: tuple[str, ...]
    space: Space

    def load(self, settings: dict[str, str]) -> Recipe:
        """The recipe with a trial's settings."""
        return load_recipe(self.recipe, [*self.fixed, *(f"{key}={value}" for key, value in settings.items())])


def search(
    wanted: Search,
    folder: Path,
    trials: int,
    *,
    say: Callable[[str], None] = lambda line: None,
    tracking_uri: str | None = None,
    tracked: bool = True,
) -> list[Outcome]:
    """Run trials until the folder has as many, and write the best recipe to ``best.yaml``.

    Args:
        wanted: the recipe and the space.
        folder: of the search; one that was stopped goes on.
        trials: how many there are to be in all; those that were cut short or failed count.
        say: told what happens.
        tracking_uri: MLflow's store; None takes the environment's, else the embedded one.
        tracked: whether MLflow hears of the search and its trials.

    Raises:
        Interrupted: a signal came; the trial in hand is run again when the search goes on.
        StenoError: the folder holds another search, the recipe or a key is not valid, or every trial failed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise StenoError("a search is one process", "Start it without torchrun.")
    middle = _middle(wanted.space)
    recipe = wanted.load(middle)
    for key, values in wanted.space.items():
        for value in values.values:
            wanted.load({**middle, key: value})
    _claim(wanted, folder)
    study = _study(folder, recipe)
    parent: RunLog = NullTracker()
    if tracked:
        tags = {"steno.kind": "search"}
        experiment, name = recipe.tracking.experiment, f"search {recipe.name}"
        parent = Tracker.start(folder, experiment=experiment, run_name=name, uri=tracking_uri, tags=tags)
        parent.log_params({"trials": trials, **{f"space.{key}": str(value) for key, value in wanted.space.items()}})
    with parent, _own_runs():
        while len(_ended(study)) < trials:
            _trial(study, wanted, folder, parent, say, tracking_uri if tracked else None, tracked)
            _note(study, folder, wanted, parent)
    if not any(outcome.wer is not None for outcome in outcomes(study)):
        raise StenoError(f"{folder}: no trial could be trained to the end of an epoch", "See what was said of each.")
    return outcomes(study)


def outcomes(study: optuna.Study) -> list[Outcome]:
    """Every trial that ended, in order."""
    return [
        Outcome(
            t.number, _settings(t.params), _wer(t), "failed" if t.state == TrialState.FAIL else t.state.name.lower()
        )
        for t in _ended(study)
    ]


def _trial(
    study: optuna.Study,
    wanted: Search,
    folder: Path,
    parent: RunLog,
    say: Callable[[str], None],
    uri: str | None,
    tracked: bool,
) -> None:
    trial = study.ask()
    settings = _settings({key: _suggested(trial, key, wanted.space[key]) for key in wanted.space})
    say(f"trial {trial.number}: {' '.join(f'{key}={value}' for key, value in settings.items())}")
    run_dir = folder / f"trial-{trial.number:04d}"
    try:
        recipe = wanted.load(settings)
        recipe = recipe.model_copy(
            update={
                "name": f"{recipe.name}-{trial.number:04d}",
                "tracking": recipe.tracking.model_copy(update={"register_as": None}),
            }
        )
        result = train(
            recipe,
            run_dir,
            display=_Watcher(trial, say),
            overwrite=run_dir.exists(),
            tracking_uri=uri,
            tracked=tracked,
            tags={"mlflow.parentRunId": parent.run_id, "steno.trial": str(trial.number)} if tracked else {},
        )
        if "dev" not in result.scores:
            raise StenoError(f"{run_dir}: the dev set could not be scored")
        wer = result.scores["dev"].wer
        study.tell(trial, wer)
        say(f"trial {trial.number}: dev WER {wer:.1%}")
    except Pruned:
        study.tell(trial, state=TrialState.PRUNED)
        say(f"trial {trial.number}: cut short, worse than most were at its epoch")
    except KeyboardInterrupt:
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
        raise
    except (StenoError, torch.OutOfMemoryError) as error:
        trial.set_user_attr(_ERROR, str(error))
        study.tell(trial, state=TrialState.FAIL)
        say(f"trial {trial.number}: failed: {error}")
    shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)


class _Watcher(SilentDisplay):
    """Tells the study of each epoch's dev WER, and ends a trial that the pruner gives up."""

    def __init__(self, trial: Trial, say: Callable[[str], None]) -> None:
        self._trial, self._tell = trial, say

    def message(self, text: str) -> None:
        self._tell(f"trial {self._trial.number}: {text}")

    def summary(self, number: int, row: dict[str, float], examples: Sequence[tuple[str, str]]) -> None:
        self._trial.report(row["dev_wer"], number)
        self._tell(f"trial {self._trial.number}: epoch {number}, dev WER {row['dev_wer']:.1%}")
        if self._trial.should_prune():
            raise Pruned


# ---- the study -------------------------------------------------------------------------------------------------


def _study(folder: Path, recipe: Recipe) -> optuna.Study:
    """The folder's study; a trial that was running when its process died is put back in the queue."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{(folder / STUDY).resolve()}"
    study = optuna.create_study(
        storage=storage,
        study_name="search",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(_FIRST_TRIALS, n_warmup_steps=max(1, recipe.training.epochs // 4)),
    )
    # A sampler of the same seed would draw again, when the search goes on, what it drew at its start.
    study.sampler = optuna.samplers.TPESampler(seed=recipe.seed + len(study.trials))
    for stale in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(stale.number, state=TrialState.FAIL)
        study.enqueue_trial(stale.params)
    return study


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that count: all but those that were stopped together with the search."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        or (trial.state == TrialState.FAIL and _ERROR in trial.user_attrs)
    ]


def _suggested(trial: Trial, key: str, values: Any) -> Any:
    if isinstance(values, Choice):
        return trial.suggest_categorical(key, values.values)
    if values.whole:
        return trial.suggest_int(key, int(values.low), int(values.high), log=values.logarithmic)
    return trial.suggest_float(key, values.low, values.high, log=values.logarithmic)


def _settings(params: dict[str, Any]) -> dict[str, str]:
    """As overrides have them; a YAML number needs its point before its exponent."""
    return {key: f"{value:.6g}" if isinstance(value, float) else str(value) for key, value in params.items()}


def _wer(trial: FrozenTrial) -> float | None:
    seen = [*trial.intermediate_values.values(), *([] if trial.value is None else [trial.value])]
    return min(seen, default=None)


def _middle(space: Space) -> dict[str, str]:
    """Some settings of the space, to see that its keys are settings of the recipe."""
    return {key: values.values[0] for key, values in space.items()}


# ---- the folder ------------------------------------------------------------------------------------------------


def _claim(wanted: Search, folder: Path) -> None:
    """Take a new folder, or go on in one of the same search.

    Raises:
        StenoError: it holds something else.
    """
    mine = {
        "recipe": dump_recipe(wanted.load(_middle(wanted.space))),
        "space": {key: str(values) for key, values in wanted.space.items()},
    }
    note = folder / SEARCH
    if note.is_file():
        if read_yaml(note, RecipeError) != mine:
            raise StenoError(
                f"{folder}: holds a search of another recipe or another space",
                "Give the recipe and the space that it was started with, or another folder with --to DIR.",
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StenoError(f"{folder}: there is something else in this folder", "Give another folder with --to DIR.")
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(yaml.safe_dump(mine, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _note(study: optuna.Study, folder: Path, wanted: Search, parent: RunLog) -> None:
    """Write the best recipe so far, and tell the tracker."""
    found = outcomes(study)
    done = [outcome for outcome in found if outcome.state == "complete"]
    last, rows = found[-1], [{"trial": o.number, "state": o.state, "dev_wer": o.wer, **o.settings} for o in found]
    parent.log_table(rows, "trials.json")
    if last.wer is not None:
        parent.log_metrics({"trial_dev_wer": last.wer}, last.number)
    if not done:
        return
    best = min(done, key=lambda outcome: outcome.wer if outcome.wer is not None else float("inf"))
    text = f"# {best}\n{dump_recipe(wanted.load(best.settings))}"
    (folder / BEST).write_text(text, encoding="utf-8")
    parent.log_text(text, BEST)
    parent.log_metrics({"best_dev_wer": best.wer or 0.0}, last.number)


@contextmanager
def _own_runs() -> Iterator[None]:
    """Within the block no run is attached to the one that ``mlflow run`` made, which is the search's."""
    given = os.environ.pop("MLFLOW_RUN_ID", None)
    try:
        yield
    finally:
        if given is not None:
            os.environ["MLFLOW_RUN_ID"] = given
