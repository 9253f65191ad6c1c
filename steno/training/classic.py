"""The classic project's way of working: one call trains and registers, another validates one utterance.

Both find LibriSpeech by themselves: in the folder that was given, else in ``$STENO_LIBRISPEECH``, else they
download what they need.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from steno.data.corpora.prepare import prepare, save
from steno.data.download import Watcher, download, find_parts
from steno.data.manifest import Manifest
from steno.errors import ManifestError, RecipeError, StenoError
from steno.tracking.promotion import promote
from steno.training.display import Display
from steno.training.recipe import Recipe, load_recipe
from steno.training.remote import train
from steno.training.run import RunResult

_SECONDS_AN_UTTERANCE = 17
"""Longest utterance of LibriSpeech's train-clean parts but for a few (s): a batch of N gets N times that."""


@dataclass(frozen=True)
class Classic:
    """What the classic command line says; None leaves a setting to the recipe."""

    recipe: Path
    data: Path
    registered_model: str
    model_stage: str
    epoch: int | None = None
    batch: int | None = None

    def load_recipe(self) -> Recipe:
        """The recipe with the changes that were asked for."""
        overrides = [f"tracking.register_as={self.registered_model}"]
        if self.epoch is not None:
            overrides.append(f"training.epochs={self.epoch}")
        if self.batch is not None:
            seconds = max(load_recipe(self.recipe).data.batch_seconds, self.batch * _SECONDS_AN_UTTERANCE)
            overrides += [f"data.batch_size={self.batch}", f"data.batch_seconds={seconds}"]
        return load_recipe(self.recipe, overrides)


def find_librispeech(data: Path) -> Path | None:
    """The folder that holds LibriSpeech's parts, if there is one.

    Raises:
        ManifestError: ``$STENO_LIBRISPEECH`` is set, but is no such folder.
    """
    named = os.environ.get("STENO_LIBRISPEECH")
    if named and not _has_parts(Path(named)):
        raise ManifestError(f"STENO_LIBRISPEECH={named}: there is no part of LibriSpeech in this folder")
    candidates = [data, data / "LibriSpeech", *([Path(named)] if named else [])]
    return next((folder for folder in candidates if _has_parts(folder)), None)


def train_classic(options: Classic, display: Display, watcher: Watcher) -> RunResult:
    """Train, register, and give the version the stage's alias if none has it, or if it is better on dev."""
    recipe = options.load_recipe()
    _make_manifests(recipe, options.data, display, watcher)
    result = train(recipe, _new_run_dir(recipe), display=display)
    if result.version is not None:
        display.message(_promote_if_better(options, result.version, recipe.data.dev))
    return result


def corpus_with(options: Classic, file_id: str, watcher: Watcher) -> Path:
    """A folder of LibriSpeech that may hold the utterance; test-clean is downloaded where there is none."""
    root = find_librispeech(options.data)
    if root is None:
        watcher.note(f"no LibriSpeech in {options.data}; downloading test-clean to look for {file_id}")
        list(download(find_parts(["test-clean"]), options.data, watcher))
        root = options.data / "LibriSpeech"
    return root


def _promote_if_better(options: Classic, version: int, dev: Path) -> str:
    name = options.registered_model
    try:
        done = promote(name, version, options.model_stage, data=Manifest(dev))
    except StenoError as error:  # the training is done and registered; only the comparison failed
        return f"{name} version {version} is registered, but was not compared with {options.model_stage}: {error}"
    if done.has_alias:
        return f"{name} version {version} is registered and is now {done.alias}: {done.reason}"
    return f"{name} version {version} is registered; {done.alias} stays version {done.previous}: {done.reason}"


def _make_manifests(recipe: Recipe, data: Path, display: Display, watcher: Watcher) -> None:
    """Prepare those of the recipe's manifests that are not there, downloading what they are made of."""
    paths = {"train-clean-100": recipe.data.train, "dev-clean": recipe.data.dev, "test-clean": recipe.data.test}
    wanted = {part: path for part, path in paths.items() if path is not None and not path.is_file()}
    for path in (path for path in paths.values() if path is not None and path.is_file()):
        display.message(f"using {path} as it is; remove it to prepare it anew from {data}")
    root = find_librispeech(data)
    lacking = [part for part in wanted if root is None or not (root / part).is_dir()]
    for part in lacking:
        limit = recipe.data.limit if part.startswith("train") else None
        list(download(find_parts([part]), data, watcher, limit=limit))
    for part, path in wanted.items():
        folder = data / "LibriSpeech" / part if part in lacking or root is None else root / part
        display.message(f"preparing {path} from {folder}")
        save(prepare(folder, format="librispeech", alphabet=recipe.tokenizer.alphabet), path)


def _new_run_dir(recipe: Recipe) -> Path:
    for number in range(1, 100_000):
        folder = Path("runs") / f"{recipe.name}-{number:03d}"
        if not folder.exists():
            return folder
    raise RecipeError(f"runs: no free number for {recipe.name}", "Remove old runs.")


def _has_parts(folder: Path) -> bool:
    return any((folder / part).is_dir() for part in ("train-clean-100", "dev-clean", "test-clean"))
