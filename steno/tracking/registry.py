"""The registry: list, show, promote, and a model reference made into a folder on this machine."""

import difflib
import getpass
import hashlib
import logging
import os
import re
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from steno.errors import ModelError, StenoError, TrackingError
from steno.tracking import logged_model, store
from steno.tracking.version import ModelVersion, read_version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel as RegisteredEntity

_log = logging.getLogger("steno.tracking")
_MODELS = re.compile(r"models:/+(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))")
_LOGGED = re.compile(r"models:/+(?P<id>m-[0-9a-f]{32})")
_RUNS = re.compile(r"runs:/+(?P<run>[^/]+)/(?P<path>.+)")
_STAGES = ("production", "staging", "archived")
_FORMS = "A model is a folder, models:/NAME@alias, models:/NAME/VERSION, or runs:/ID/model."


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A name in the registry with its newest version."""

    name: str
    versions: int
    aliases: Mapping[str, int]
    latest: ModelVersion | None


@dataclass(frozen=True, slots=True)
class Promotion:
    """What :func:`promote` did; ``previous`` had the alias before, None if nothing had."""

    version: ModelVersion
    alias: str
    previous: int | None


def list_models(uri: str | None = None) -> list[RegisteredModel]:
    """Every registered model, by name.

    Raises:
        TrackingError: the store is not there or does not answer.
    """
    with _registry(uri, "listing the models") as client:
        return [
            _summary(str(model.name), dict(model.aliases), _versions(client, str(model.name)))
            for model in sorted(_all_models(client), key=lambda model: str(model.name))
        ]


def show(name: str, uri: str | None = None) -> list[ModelVersion]:
    """Every version of a registered model, newest first.

    Raises:
        TrackingError: the store does not answer, or has no such model.
    """
    with _registry(uri, f"looking up {name}") as client:
        return _with_aliases(_versions(client, name), _known(client, name))


def promote(name: str, version: int, alias: str = "champion", uri: str | None = None) -> Promotion:
    """Give a version an alias, and note on the version who did it, when, and which version had it before.

    Raises:
        TrackingError: no such model or version, or a name that cannot be an alias.
    """
    alias = alias.lower() if alias.lower() in _STAGES else alias
    with _registry(uri, f"promoting version {version} of {name}") as client:
        aliases = _known(client, name)
        _chosen(_versions(client, name), name, version)
        previous = aliases.get(alias)
        client.set_registered_model_alias(name, alias, str(version))
        if previous != version:
            notes = {
                "by": getpass.getuser(),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "previous": "none" if previous is None else str(previous),
            }
            for key, value in notes.items():
                client.set_model_version_tag(name, str(version), f"steno.{alias}.{key}", value)
        versions = _with_aliases(_versions(client, name), _known(client, name))
        return Promotion(_chosen(versions, name, version), alias, previous)


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
    with _explained(uri, f"registering {folder}"), tempfile.TemporaryDirectory(prefix="steno-") as scratch:
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

    A folder is taken as it is, without mlflow. ``models:/NAME@alias``, ``models:/NAME/VERSION``,
    ``models:/NAME/latest``, ``models:/NAME/Production`` (a stage, taken for the alias in lower case) and
    ``runs:/ID/model`` are looked up; what lies in a remote store is downloaded once and kept under
    ``$XDG_CACHE_HOME/steno/models``.

    Raises:
        ModelError: not a model folder, or not a reference.
        TrackingError: no such name, version, alias or run, or the store does not answer.
        MissingExtraError: a reference, and mlflow is not installed.
    """
    text = os.fspath(model)
    if not text.startswith(("models:", "runs:")):
        _check_folder(Path(text))
        return Path(text)
    if not (_MODELS.fullmatch(text) or _RUNS.fullmatch(text) or _LOGGED.fullmatch(text)):
        raise ModelError(f"{text}: not a reference to a model", _FORMS)
    with _registry(uri, f"looking up {text}") as client:
        source = _source(client, text)
        return _local(source, store.tracking_uri(uri), text)


def _check_folder(folder: Path) -> None:
    if (folder / "config.yaml").is_file():
        return
    problem = "is not a model folder: it has no config.yaml" if folder.exists() else "no such model folder"
    raise ModelError(f"{folder}: {problem}", _FORMS)


def _source(client: "MlflowClient", text: str) -> str:
    """Where the store keeps the files of a reference."""
    if logged := _LOGGED.fullmatch(text):
        return str(client.get_logged_model(logged["id"]).artifact_location)
    if run := _RUNS.fullmatch(text):
        return _run_source(client, run["run"], run["path"].rstrip("/"))
    found = _MODELS.fullmatch(text)
    assert found is not None
    name = unquote(found["name"])
    aliases = _known(client, name)
    if found["alias"]:
        version = _by_alias(name, found["alias"], aliases)
    elif found["version"].isdigit():
        version = _chosen(_versions(client, name), name, int(found["version"])).version
    else:
        version = _by_word(client, name, found["version"], aliases)
    return str(client.get_model_version_download_uri(name, str(version)))


def _run_source(client: "MlflowClient", run_id: str, path: str) -> str:
    run = client.get_run(run_id)
    outputs = run.outputs.model_outputs if run.outputs else []
    models = [
        (output.step, client.get_logged_model(output.model_id))
        for output in sorted(outputs, key=lambda output: int(output.step))
    ]
    named = [model for _, model in models if model.name == path]
    if named:
        return str(named[-1].artifact_location)
    if client.list_artifacts(run_id, path):
        return f"{run.info.artifact_uri}/{path}"
    names = ", ".join(sorted({str(model.name) for _, model in models})) or "none"
    raise TrackingError(f"runs:/{run_id}/{path}: the run has no such model", f"Its models: {names}.")


def _by_alias(name: str, alias: str, aliases: Mapping[str, int]) -> int:
    if alias in aliases:
        return aliases[alias]
    there = ", ".join(sorted(aliases)) or "none yet"
    near = difflib.get_close_matches(alias.lower(), aliases, n=1)
    asked = f" Did you mean @{near[0]}?" if near else ""
    raise TrackingError(
        f"{name} has no alias {alias!r}; it has: {there}.{asked}",
        f"Set it with: steno models promote {name} VERSION --alias {alias}",
    )


def _by_word(client: "MlflowClient", name: str, word: str, aliases: Mapping[str, int]) -> int:
    """``latest``, or a stage: its lower-case alias first, the deprecated stage itself second."""
    if word.lower() == "latest" and (versions := _versions(client, name)):
        return versions[0].version
    if word.lower() in _STAGES:
        if word.lower() in aliases:
            return aliases[word.lower()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's own word on the deprecation; ours follows
            staged = client.get_latest_versions(name, stages=[word.capitalize()])
        if staged:
            _log.warning(
                "version %s of %s was found by its stage %s, which MLflow deprecates; "
                "give it an alias: steno models promote %s %s --alias %s",
                *(staged[0].version, name, word, name, staged[0].version, word.lower()),
            )
            return int(staged[0].version)
        return _by_alias(name, word.lower(), aliases)
    return _by_alias(name, word, aliases)


def _local(source: str, uri: str, text: str) -> Path:
    """The model folder inside a logged model, downloaded unless the store is on this machine."""
    parts = urlsplit(source)
    if parts.scheme in ("", "file"):
        return _folder_inside(Path(unquote(parts.path)), text)
    key = hashlib.sha256(f"{store.absolute(uri)} {source}".encode()).hexdigest()[:24]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "steno" / "models"
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
    raise ModelError(f"{text}: what is logged there ({root}) holds no Steno model", _FORMS)


def _known(client: "MlflowClient", name: str) -> dict[str, int]:
    """The aliases of a model that must be there."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = [str(model.name) for model in _all_models(client)]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names) or 'none yet'}."
        raise TrackingError(f"{name}: no such model in the registry", hint) from None
    return {alias: int(version) for alias, version in found.aliases.items()}


def _all_models(client: "MlflowClient") -> list["RegisteredEntity"]:
    found: list[RegisteredEntity] = []
    token = None
    while True:
        page = client.search_registered_models(max_results=100, page_token=token)
        found.extend(page)
        if not (token := page.token):
            return found


def _versions(client: "MlflowClient", name: str) -> list[ModelVersion]:
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=1000, page_token=token)
        found.extend(read_version(version) for version in page)
        if not (token := page.token):
            return sorted(found, key=lambda version: -version.version)


def _with_aliases(versions: list[ModelVersion], aliases: Mapping[str, int]) -> list[ModelVersion]:
    """MLflow's search leaves the aliases of the versions out."""
    return [
        replace(
            version,
            aliases=tuple(sorted(alias for alias, number in aliases.items() if number == version.version)),
        )
        for version in versions
    ]


def _chosen(versions: list[ModelVersion], name: str, number: int) -> ModelVersion:
    for version in versions:
        if version.version == number:
            return version
    there = ", ".join(str(version.version) for version in versions) or "none yet"
    raise TrackingError(f"{name} has no version {number}", f"It has: {there}.")


def _summary(name: str, aliases: dict[str, str], versions: list[ModelVersion]) -> RegisteredModel:
    numbers = {alias: int(version) for alias, version in aliases.items()}
    versions = _with_aliases(versions, numbers)
    return RegisteredModel(name, len(versions), numbers, versions[0] if versions else None)


@contextmanager
def _registry(uri: str | None, doing: str) -> Iterator["MlflowClient"]:
    """A client for reading; a store that was never made is an error, not a new file."""
    address = store.tracking_uri(uri)
    path = store.sqlite_path(address)
    if path is not None and not path.exists():
        raise TrackingError(
            f"{doing}: there is no store at {path}",
            "Train a model first, or name the store with --uri or MLFLOW_TRACKING_URI.",
        )
    store.prepare()
    with _explained(address, doing):
        yield store.client(address)


@contextmanager
def _explained(uri: str, doing: str) -> Iterator[None]:
    import requests
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except StenoError:
        raise
    except (MlflowException, requests.RequestException, SQLAlchemyError, CommandError, OSError) as error:
        raise store.explain(error, uri, doing) from error
