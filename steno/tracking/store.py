"""Where runs and models are kept: which store, how mlflow is set up for it, and what its failures mean."""

import contextlib
import fcntl
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from steno.errors import MissingExtraError, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
"""The embedded store: a file in the current folder, no server needed."""

_SQLITE = "sqlite:///"
_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")
# An outage must show within seconds: MLflow's own defaults retry for many minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
_UNREACHABLE = ("failed with exception", "failed with timeout", "Connection refused", "Max retries exceeded")
# MLflow's page guesses the kind of an experiment that does not say it.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_NO_ANSWER = "cannot be reached"


def tracking_uri(explicit: str | None = None) -> str:
    """The store to use: the explicit one, else MLFLOW_TRACKING_URI, else the embedded :data:`DEFAULT_URI`.

    Raises:
        TrackingError: it is not an address that MLflow takes.
    """
    uri = explicit or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    scheme = urlsplit(uri).scheme.split("+")[0]
    if scheme not in _SCHEMES or (scheme == "sqlite" and not uri.startswith(_SQLITE)):
        raise TrackingError(
            f"{uri}: not the address of a tracking store",
            f"Give one such as {DEFAULT_URI} or http://127.0.0.1:5000 (which `steno track` starts).",
        )
    return uri.rstrip("/") if scheme in ("http", "https") else uri


def absolute(uri: str) -> str:
    """The same store whatever the current folder: a relative SQLite path becomes absolute."""
    path = sqlite_path(uri)
    return uri if path is None else f"{_SQLITE}{path}"


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite store, absolute; None for every other store."""
    if not uri.startswith(_SQLITE):
        return None
    return Path(uri[len(_SQLITE) :].split("?")[0]).absolute()


def prepare() -> None:
    """Set mlflow's environment, for this process and its children, without loading mlflow.

    Raises:
        MissingExtraError: mlflow is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if importlib.util.find_spec("mlflow") is None:
        raise MissingExtraError("mlflow", "train")


def configure(uri: str) -> None:
    """Point mlflow at the store and quieten it: no telemetry, no migration chatter, short retries.

    A variable that the user has set stays as it is.

    Raises:
        MissingExtraError: mlflow is not installed.
        TrackingError: the folder of an SQLite store cannot be made.
    """
    prepare()
    path = sqlite_path(uri)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrackingError(f"{path.parent}: {error.strerror or error}") from error
    import mlflow

    # urllib3 warns of every retry, the sender of an outage as a whole.
    for name, level in (("alembic", logging.WARNING), ("urllib3.connectionpool", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    # Migrations warn of what they do to their own tables.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"alembic\.")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)


def client(uri: str) -> "MlflowClient":
    """A client of the store, after :func:`configure`; an SQLite store is made or migrated if it has to be.

    Processes that start together are safe: MLflow's own tables come from dozens of migrations, and two
    processes that run them at once leave a broken database.
    """
    configure(uri)
    from mlflow import MlflowClient

    path = sqlite_path(uri)
    with contextlib.nullcontext() if path is None else _alone(path.with_name(path.name + ".lock")):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    try:
        lock = path.open("a")
    except OSError:  # nobody can make tables in a folder that cannot be written; mlflow may still read
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def experiment_id(client: "MlflowClient", uri: str, name: str) -> str:
    """The experiment's id; it is made when it is not there, also when two processes start together.

    In an SQLite store its artefacts go beside the database, whatever the current folder is.

    Raises:
        TrackingError: the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        path = sqlite_path(uri)
        location = None if path is None else str(path.parent / "mlruns" / quote(name, safe=" "))
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=_KIND))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"the experiment {name} was deleted",
            f"Restore it with `mlflow experiments restore -x {found.experiment_id if found else 'ID'}`, "
            "or choose another name.",
        )
    return str(found.experiment_id)


def explain(error: Exception, uri: str, doing: str) -> TrackingError:
    """The failure of a store in a user's words."""
    text = reason(error)
    if text == _NO_ANSWER:
        return TrackingError(
            f"{doing}: the tracking server at {uri} {text}",
            "Start it with `steno track`, name another with --uri, or unset MLFLOW_TRACKING_URI "
            "to use the embedded store.",
        )
    return TrackingError(f"{doing}: {text} (store {uri})")


def reason(error: Exception) -> str:
    """One line that says why a store failed."""
    text = str(error)
    if any(mark in text for mark in _UNREACHABLE):
        return _NO_ANSWER
    return text.splitlines()[0] if text else type(error).__name__
