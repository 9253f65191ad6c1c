"""Looking things up in the registry: models, versions, aliases, and what a reference means."""

import difflib
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from steno.errors import ModelError, StenoError, TrackingError
from steno.storage import library_errors
from steno.tracking import store
from steno.tracking.version import ModelVersion, read_version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel as RegisteredEntity

FORMS = "A model is a folder, models:/NAME@alias, models:/NAME/VERSION, runs:/ID/model, or small-en."
STAGES = ("production", "staging", "archived")

_log = logging.getLogger("steno.tracking")
_MODELS = re.compile(r"models:/+(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))")
_LOGGED = re.compile(r"models:/+(?P<id>m-[0-9a-f]{32})")
_RUNS = re.compile(r"runs:/+(?P<run>[^/]+)/(?P<path>.+)")


@dataclass(frozen=True, slots=True)
class Located:
    """What a reference means: where its files are, its logged model, and its version if it is one's."""

    source: str
    model_id: str | None
    name: str | None = None
    version: int | None = None


def is_reference(model: str) -> bool:
    """Whether a MODEL means one in MLflow, rightly spelt or not."""
    return model.startswith(("models:", "runs:"))


def check_reference(text: str) -> None:
    """Refuse what is not spelt like a reference to a model in MLflow.

    Raises:
        ModelError: it is not.
    """
    if not (_MODELS.fullmatch(text) or _RUNS.fullmatch(text) or _LOGGED.fullmatch(text)):
        raise ModelError(f"{text}: not a reference to a model", FORMS)


def registered_name(model: str) -> str | None:
    """NAME of ``models:/NAME@alias`` and its like; None for any other MODEL."""
    found = _MODELS.fullmatch(model)
    return found["name"] if found else None


def locate(client: "MlflowClient", text: str) -> Located:
    """Look a reference up; it is one that :func:`check_reference` lets pass.

    Raises:
        TrackingError: no such name, version, alias, run or model.
    """
    if logged := _LOGGED.fullmatch(text):
        return Located(str(client.get_logged_model(logged["id"]).artifact_location), logged["id"])
    if run := _RUNS.fullmatch(text):
        return _in_run(client, run["run"], run["path"].rstrip("/"))
    found = _MODELS.fullmatch(text)
    assert found is not None
    name = unquote(found["name"])
    aliases = known_aliases(client, name)
    if found["alias"]:
        version = _by_alias(name, found["alias"], aliases)
    elif found["version"].isdigit():
        version = chosen(versions_of(client, name), name, int(found["version"])).version
    else:
        version = _by_word(client, name, found["version"], aliases)
    return located_version(client, name, version)


def located_version(client: "MlflowClient", name: str, version: int) -> Located:
    """Where a version that is there keeps its files."""
    # An SQLite store keeps the logged model's id as the version's source only.
    logged = _LOGGED.fullmatch(str(client.get_model_version(name, str(version)).source))
    source = str(client.get_model_version_download_uri(name, str(version)))
    return Located(source, logged["id"] if logged else None, name, version)


def _in_run(client: "MlflowClient", run_id: str, path: str) -> Located:
    run = client.get_run(run_id)
    outputs = run.outputs.model_outputs if run.outputs else []
    models = [
        (output.step, client.get_logged_model(output.model_id))
        for output in sorted(outputs, key=lambda output: int(output.step))
    ]
    named = [model for _, model in models if model.name == path]
    if named:
        return Located(str(named[-1].artifact_location), str(named[-1].model_id))
    if client.list_artifacts(run_id, path):
        return Located(f"{run.info.artifact_uri}/{path}", None)
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
    if word.lower() == "latest" and (there := versions_of(client, name)):
        return there[0].version
    if word.lower() in STAGES:
        if word.lower() in aliases:
            return aliases[word.lower()]
        if number := _staged(client, name, word):
            _log.warning(
                "version %s of %s was found by its stage %s, which MLflow deprecates; "
                "give it an alias: steno models promote %s %s --alias %s",
                *(number, name, word, name, number, word.lower()),
            )
            return number
        return _by_alias(name, word.lower(), aliases)
    return _by_alias(name, word, aliases)


def holder(client: "MlflowClient", name: str, alias: str) -> int | None:
    """The version that has an alias, or the deprecated stage of that name; None if none has."""
    found = known_aliases(client, name).get(alias)
    return _staged(client, name, alias) if found is None and alias in STAGES else found


def _staged(client: "MlflowClient", name: str, stage: str) -> int | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own word on the deprecation; ours follows
        staged = client.get_latest_versions(name, stages=[stage.capitalize()])
    return int(staged[0].version) if staged else None


def known_aliases(client: "MlflowClient", name: str) -> dict[str, int]:
    """The aliases of a model that must be there."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = [str(model.name) for model in all_models(client)]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names) or 'none yet'}."
        raise TrackingError(f"{name}: no such model in the registry", hint) from None
    return {alias: int(version) for alias, version in found.aliases.items()}


def all_models(client: "MlflowClient") -> list["RegisteredEntity"]:
    """Every registered model, as MLflow has it."""
    found: list[RegisteredEntity] = []
    token = None
    while True:
        page = client.search_registered_models(max_results=100, page_token=token)
        found.extend(page)
        if not (token := page.token):
            return found


def versions_of(client: "MlflowClient", name: str) -> list[ModelVersion]:
    """Every version of a model, newest first, without its aliases."""
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=1000, page_token=token)
        found.extend(read_version(version) for version in page)
        if not (token := page.token):
            return sorted(found, key=lambda version: -version.version)


def with_aliases(versions: list[ModelVersion], aliases: Mapping[str, int]) -> list[ModelVersion]:
    """MLflow's search leaves the aliases of the versions out."""
    return [
        replace(
            version,
            aliases=tuple(sorted(alias for alias, number in aliases.items() if number == version.version)),
        )
        for version in versions
    ]


def chosen(versions: Sequence[ModelVersion], name: str, number: int) -> ModelVersion:
    """The version of that number.

    Raises:
        TrackingError: there is none.
    """
    for version in versions:
        if version.version == number:
            return version
    there = ", ".join(str(version.version) for version in versions) or "none yet"
    raise TrackingError(f"{name} has no version {number}", f"It has: {there}.")


@contextmanager
def registry(uri: str | None, doing: str) -> Iterator["MlflowClient"]:
    """A client for reading; a store that was never made is an error, not a new file."""
    address = store.tracking_uri(uri)
    path = store.sqlite_path(address)
    if path is not None and not path.exists():
        raise TrackingError(
            f"{doing}: there is no store at {path}",
            "Train a model first, or name the store with --uri or MLFLOW_TRACKING_URI.",
        )
    store.prepare()
    with explained(address, doing):
        yield store.client(address)


@contextmanager
def explained(uri: str, doing: str) -> Iterator[None]:
    """Turn the failures of a store into :class:`TrackingError`."""
    import requests
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except StenoError:
        raise
    except Exception as error:
        known = (MlflowException, requests.RequestException, SQLAlchemyError, CommandError, OSError)
        if not isinstance(error, (*known, *library_errors())):
            raise
        raise store.explain(error, uri, doing) from error
