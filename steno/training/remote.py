"""A run whose folder is in a store: written on this machine, copied there, resumed on any other."""

import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from steno import storage
from steno.errors import StenoError
from steno.storage.mirror import Mirror, Pushing
from steno.training import elastic
from steno.training.display import Display
from steno.training.recipe import Recipe
from steno.training.run import RunResult
from steno.training.run import train as train_here
from steno.training.run_folder import RECIPE, is_recipe_of_run, taken
from steno.training.trainer import LAST


def train(
    recipe: Recipe, run_dir: Path, *, display: Display, resume: bool = False, overwrite: bool = False, **rest: Any
) -> RunResult:
    """Train as :func:`steno.training.run.train` does, wherever the run's folder is.

    In a store each checkpoint is copied as soon as it is written, in a thread of its own: a store that is slow or away
    does not hold the training up. At the end, or at an interrupt, everything is there, or an error says that it is not.

    Raises:
        StorageError: the store does not answer, at the start or at the end.
        StenoError: as :func:`steno.training.run.train`.
    """
    if not storage.is_remote(run_dir):
        return train_here(recipe, run_dir, display=display, resume=resume, overwrite=overwrite, **rest)
    mirror = Mirror(run_dir)
    main, first_of_machine = (os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK"))
    own = main and elastic.is_own(mirror.folder)  # torchrun tries again: what is here is newer than what is there
    if own:
        resume = (mirror.folder / LAST).is_file()
        overwrite = not resume
    elif main:
        _check_free(mirror, resume, overwrite)
    if main and overwrite:
        mirror.clear()
    elif first_of_machine and not own:
        mirror.pull()
    try:
        with Pushing(mirror, LAST, display.message) if main else nullcontext():
            result = train_here(recipe, mirror.folder, display=display, resume=resume, **rest)
    except StenoError as error:
        error.message = error.message.replace(str(mirror.folder), mirror.place.url)
        raise
    return replace(result, run_dir=run_dir, model=run_dir / result.model.relative_to(mirror.folder))


def has_checkpoint(run_dir: Path) -> bool:
    """Whether there is a run in the folder that can be resumed.

    Raises:
        StorageError: the store does not answer.
    """
    return LAST in Mirror(run_dir).names() if storage.is_remote(run_dir) else (run_dir / LAST).is_file()


def _check_free(mirror: Mirror, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that holds a run, unless it is to be replaced, or something else, which never is."""
    names = mirror.names()
    if resume or not names:
        return
    ours = RECIPE in names and is_recipe_of_run(mirror.read(RECIPE))
    if ours and overwrite:
        return
    raise taken(mirror.place.url, ours)
