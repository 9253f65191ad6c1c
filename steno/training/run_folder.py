"""A run's folder: whether a run may begin in it or go on, and with which settings it does."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from steno.config import read_yaml, validate
from steno.data.manifest import Manifest
from steno.errors import ManifestError, ModelError, RecipeError, StenoError
from steno.training import checkpoint, elastic
from steno.training.recipe import Recipe, dump_recipe, flat_params
from steno.training.trainer import LAST

RECIPE = "recipe.yaml"

_FINISHED = "finished"

_DIGEST, _CHANGED = "# {} manifest digest: ", "# changed at "
_FREE = frozenset(
    f"training.{name}" for name in ("device", "checkpoint_seconds", "examples", "log_utterances", "accumulate")
) | {"data.workers"}
"""Settings that a resumed run may change: they do not change its numbers. (``accumulate`` deals dropout out anew, as
another number of processes does.)"""
_ON_DEMAND = (
    *("training.epochs", "training.patience", "training.grad_clip"),
    *("optimizer.lr", "optimizer.weight_decay", "schedule."),
)
"""Settings, or beginnings of their names, that it may change if it is asked to: how long and how fast it learns."""


def prepare(
    recipe: Recipe,
    run_dir: Path,
    manifests: Mapping[str, Manifest],
    say: Callable[[str], None],
    *,
    resume: bool,
    overwrite: bool,
    change: bool,
) -> bool:
    """Check the run's folder and write the recipe to it; returns whether a run in it is continued.

    What ``change`` has let change is named with ``say``, and noted in the folder's recipe.

    Raises:
        StenoError: the folder holds something else, or a run that cannot be continued with this recipe.
    """
    if elastic.is_own(run_dir):
        resume = (run_dir / LAST).is_file()
        overwrite = not resume
    else:
        elastic.disclaim(run_dir)
    if resume:
        _resume(recipe, run_dir, manifests, say, change)
        elastic.claim(run_dir)
        return True
    if run_dir.exists() and not run_dir.is_dir():
        raise StenoError(f"{run_dir}: is a file, not a folder", "Give another folder with --to DIR.")
    if run_dir.exists() and any(run_dir.iterdir()):
        ours = _is_run(run_dir)
        if not (overwrite and ours):
            raise taken(str(run_dir), ours)
        shutil.rmtree(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    digests = [f"{_DIGEST.format(part)}{manifest.digest}" for part, manifest in manifests.items()]
    _write(run_dir, recipe, digests)
    elastic.claim(run_dir)
    return False


def taken(folder: str, ours: bool) -> StenoError:
    """That a folder holds a run, or something that is not ``ours``."""
    return StenoError(
        f"{folder}: there is {'already a run' if ours else 'something else'} in this folder",
        "Continue it with --resume, replace it with --overwrite, or give another folder with --to DIR."
        if ours
        else "Give another folder with --to DIR.",
    )


def is_recipe_of_run(data: bytes) -> bool:
    """Whether a recipe is one that a run wrote into its folder; a user's own may have the same name."""
    return data.startswith(_DIGEST.format("train").encode())


def changes(run_dir: Path) -> list[str]:
    """What was changed when the run went on, such as ``epoch 5, batch 3: training.epochs 12 to 15``."""
    return [line.removeprefix(_CHANGED) for line in _notes(run_dir) if line.startswith(_CHANGED)]


def finish(run_dir: Path, epoch: int) -> None:
    """Note that the run's model is written, measured and logged, as it is after this epoch."""
    (run_dir / _FINISHED).write_text(f"{epoch}\n", encoding="utf-8")


def is_finished(run_dir: Path, epoch: int) -> bool:
    """Whether that was noted of this epoch."""
    note = run_dir / _FINISHED
    return note.is_file() and note.read_text(encoding="utf-8").strip() == str(epoch)


def _is_run(run_dir: Path) -> bool:
    path = run_dir / RECIPE
    return path.is_file() and is_recipe_of_run(path.read_bytes())


def _resume(
    recipe: Recipe, run_dir: Path, manifests: Mapping[str, Manifest], say: Callable[[str], None], change: bool
) -> None:
    if not _is_run(run_dir):
        raise ModelError(f"{run_dir}: there is no run to resume here", "Start it without --resume.")
    if not (run_dir / LAST).is_file():
        raise ModelError(
            f"{run_dir}: the run has no checkpoint yet", "Start it again with --overwrite instead of --resume."
        )
    former = validate(Recipe, read_yaml(run_dir / RECIPE, RecipeError), str(run_dir / RECIPE), RecipeError)
    old, new = flat_params(former), flat_params(recipe)
    changed = sorted(
        key
        for key in old.keys() | new.keys()
        if old.get(key) != new.get(key) and key not in _FREE and not key.startswith("tracking.")
    )
    fixed = [key for key in changed if not key.startswith(_ON_DEMAND)]
    if refused := fixed if change else changed:
        on_demand = "" if fixed else "add --change to go on with these, "
        raise RecipeError(
            f"{run_dir}: the run was started with other settings: "
            + ", ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in refused),
            f"Give the settings that it was started with, {on_demand}or start another run with --to DIR.",
        )
    notes = _notes(run_dir)
    for part, manifest in manifests.items():
        if f"{_DIGEST.format(part)}{manifest.digest}" not in notes:
            raise ManifestError(
                f"{manifest.path}: the {part} manifest has changed since the run was started",
                "Restore it, or start another run with --to DIR.",
            )
    if changed:
        state = checkpoint.load_state(run_dir / LAST)
        place = f"epoch {state['epoch'] + 1}, batch {state['batch'] + 1}"
        told = [f"{place}: {key} {old.get(key)} to {new.get(key)}" for key in changed]
        _write(run_dir, recipe, notes + [f"{_CHANGED}{line}" for line in told])
        for line in told:
            say(f"changed at {line}")


def _notes(run_dir: Path) -> list[str]:
    """The lines of the folder's recipe that only Steno reads."""
    lines = (run_dir / RECIPE).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("# ")]


def _write(run_dir: Path, recipe: Recipe, notes: list[str]) -> None:
    partial = run_dir / f"{RECIPE}.part"
    partial.write_text("".join(f"{line}\n" for line in notes) + dump_recipe(recipe), encoding="utf-8")
    partial.replace(run_dir / RECIPE)
