"""The registry: list, show, register, and a model reference made into a folder on this machine."""

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from steno.errors import ModelError, TrackingError
from steno.runtime import bundled
from steno.storage import cache_home, fetch_folder, is_remote
from steno.tracking import logged_model, lookup, store
from steno.tracking.version import ModelVersion


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A name in the registry with its newest version."""

    name: str
    versions: int
    aliases: Mapping[str, int]
    latest: ModelVersion | None


def list_models(uri: str | None = None) -> list[RegisteredModel]:
    """Every registered model, by name.

    Raises:
        TrackingError: the store is not there or does not answer.
    """
    with lookup.registry(uri, "listing the models") as client:
        return [
            _summary(str(model.name), dict(model.aliases), lookup.versions_of(client, str(model.name)))
            for model in sorted(lookup.all_models(client), key=lambda model: str(model.name))
        ]


def show(name: str, uri: str | None = None) -> list[ModelVersion]:
    """Every version of a registered model, newest first.

    Raises:
        TrackingError: the store does not answer, or has no such model.
    """
    with lookup.registry(uri, f"looking up {name}") as client:
        return lookup.with_aliases(lookup.versions_of(client, name), lookup.known_aliases(client, name))


def register(folder: Path, name: str, metrics: Mapping[str, float], uri: str | None = None) -> ModelVersion:
    """Log an existing model folder and register it, outside a training: it has no run, and is shown under
    the experiment ``models``.

    Raises:
        TrackingError: the name cannot be a model's, or the store does not answer.
        ModelError: the folder is not a model folder.
    """
    check_name(name)
    _check_folder(folder)
    uri = store.tracking_uri(uri)
    store.prepare()
    with lookup.explained(uri, f"registering {folder}"), tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        client = store.client(uri)
        named = Path(scratch, logged_model.ARTIFACT_NAME)
        shutil.copytree(folder, named)
        version = logged_model.log_once(
            client,
            named,
            token=uuid.uuid4().hex,
            experiment_id=store.experiment_id(client, uri, "models"),
            run_id=None,
            registered_name=name,
            metrics=metrics,
            times={},
            step=0,
        )
    if version is None:
        raise TrackingError(f"{name}: the registry made no version of it")
    return version


def check_name(name: str) -> None:
    """Refuse a name that a model reference could not spell.

    Raises:
        TrackingError: it is empty, or holds a slash, a colon, an @ or a quote.
    """
    if not name.strip() or set(name) & set("/:@'\"\\"):
        raise TrackingError(
            f"{name!r} cannot be the name of a model", "Use letters, digits, dashes, dots and underscores."
        )


def resolve(model: str | os.PathLike[str], uri: str | None = None) -> Path:
    """The model folder that a MODEL argument means, on this machine.

    A folder is taken as it is, without mlflow; so is a model that comes with Steno, by its name. A folder in a store,
    ``s3://…`` or ``az://…``, is copied as it is now to ``$XDG_CACHE_HOME/steno/folders``.
    ``models:/NAME@alias``, ``models:/NAME/VERSION``, ``models:/NAME/latest``, ``models:/NAME/Production`` (a stage,
    taken for the alias in lower case) and ``runs:/ID/model`` are looked up; what lies in a remote store is downloaded
    once and kept under ``$XDG_CACHE_HOME/steno/models``.

    Raises:
        ModelError: not a model folder, or not a reference.
        StorageError: no such folder in the store, or the store does not answer.
        TrackingError: no such name, version, alias or run, or the store does not answer.
        MissingExtraError: a reference, and mlflow is not installed.
    """
    text = os.fspath(model)
    if is_remote(text):
        return fetch_folder(text, must_hold="config.yaml")
    if not lookup.is_reference(text):
        if not Path(text).exists() and (found := bundled.folder(text)):
            return found
        _check_folder(Path(text))
        return Path(text)
    lookup.check_reference(text)
    with lookup.registry(uri, f"looking up {text}") as client:
        return _local(lookup.locate(client, text).source, store.tracking_uri(uri), text)


def is_kept_elsewhere(model: str) -> bool:
    """Whether a MODEL is no folder of the user's own: what :func:`resolve` gives for it is not to be changed."""
    if lookup.is_reference(model) or is_remote(model):
        return True
    return not Path(model).exists() and bundled.folder(model) is not None


def _check_folder(folder: Path) -> None:
    if (folder / "config.yaml").is_file():
        return
    problem = "is not a model folder: it has no config.yaml" if folder.exists() else "no such model folder"
    raise ModelError(f"{folder}: {problem}", lookup.FORMS)


def _local(source: str, uri: str, text: str) -> Path:
    """The model folder inside a logged model, downloaded unless the store is on this machine."""
    parts = urlsplit(source)
    if parts.scheme in ("", "file"):
        return _folder_inside(Path(unquote(parts.path)), text)
    if is_remote(source):
        return _folder_inside(fetch_folder(source), text)
    key = hashlib.sha256(f"{store.absolute(uri)} {source}".encode()).hexdigest()[:24]
    home = cache_home() / "models"
    kept = home / key
    if not kept.is_dir():
        _download(source, uri, kept)
    return _folder_inside(kept, text)


def _download(source: str, uri: str, target: Path) -> None:
    from mlflow.artifacts import download_artifacts

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".part-", dir=target.parent))
    try:
        fetched = download_artifacts(artifact_uri=source, dst_path=str(partial), tracking_uri=uri)
        try:
            Path(fetched).rename(target)
        except OSError:
            if not target.is_dir():  # another process was first, with the same files
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _folder_inside(root: Path, text: str) -> Path:
    for folder in (root, *sorted(path.parent for path in root.glob("artifacts/*/config.yaml"))):
        if (folder / "config.yaml").is_file():
            return folder
    raise ModelError(f"{text}: what is logged there ({root}) holds no Steno model", lookup.FORMS)


def _summary(name: str, aliases: dict[str, str], versions: list[ModelVersion]) -> RegisteredModel:
    numbers = {alias: int(version) for alias, version in aliases.items()}
    versions = lookup.with_aliases(versions, numbers)
    return RegisteredModel(name, len(versions), numbers, versions[0] if versions else None)
