"""The model folder in MLflow: logged once as a models-from-code pyfunc, then registered.

What is logged holds the folder, this package's code and the base install's requirements, so that it loads
where Steno is not installed, and with neither torch nor pickles.
"""

import importlib.metadata
import io
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from steno.decoding.config import DecodingConfig
from steno.errors import ModelError, TrackingError
from steno.runtime.folder import DecodingFiles, read_config, with_decoding
from steno.tracking.version import METRIC_TAG, ModelVersion, read_version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import Model, ModelSignature

    from steno.audio import Samples

ARTIFACT_NAME = "model"
TOKEN_TAG = "steno.record"
_VERSIONS_TAG = "mlflow.modelVersions"
_PACKAGE = Path(__file__).resolve().parents[1]
_NOT_CODE = shutil.ignore_patterns("__pycache__", "*.safetensors", "*.onnx", "*.ckpt", "bundled")


def log_once(
    client: "MlflowClient",
    folder: Path,
    *,
    token: str,
    experiment_id: str,
    run_id: str | None,
    registered_name: str | None,
    metrics: Mapping[str, float],
    times: Mapping[str, int],
    step: int,
) -> ModelVersion | None:
    """Log a model folder and register it, unless that was done under the same token before.

    Args:
        client: of the store that mlflow is configured for.
        folder: the model folder; its last name is what the artefact is called.
        token: marks the model and its version, so that a repetition finds them.
        experiment_id: where the model is shown.
        run_id: the run that made the model, or None.
        registered_name: name in the registry; None only logs.
        metrics: what was measured; kept with the model, and as tags of the version.
        times: when each metric was made, in milliseconds since the epoch.
        step: training step of the model.

    Returns:
        The version in the registry, or None if it is not registered.
    """
    from mlflow.entities import Metric

    model_id = _find(client, experiment_id, token) or _log(client, folder, token, experiment_id, run_id, step)
    if metrics and run_id:
        points = [Metric(key, value, times[key], step, model_id=model_id) for key, value in metrics.items()]
        client.log_batch(run_id, metrics=points)
    if registered_name is None:
        return None
    return _register_once(client, model_id, registered_name, token, run_id, metrics)


def requirements() -> list[str]:
    """The base install's distributions, pinned to the versions that are installed here.

    Raises:
        TrackingError: Steno runs from a folder and is not installed, so what it needs is not known.
    """
    from packaging.requirements import Requirement

    try:
        declared = [Requirement(text) for text in importlib.metadata.requires("steno") or []]
    except importlib.metadata.PackageNotFoundError:
        raise TrackingError("Steno is not installed, only imported", "Install it: pip install -e .") from None
    base = [need.name for need in declared if need.marker is None or need.marker.evaluate({"extra": ""})]
    return [f"{name}=={importlib.metadata.version(name)}" for name in base]


def signature() -> "ModelSignature":
    """One recording a row in, its text out.

    The input has no column name: so MLflow takes lists of bytes and paths, data frames whatever their column
    is called, and every JSON form of ``/invocations`` with base64.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary)]),
        outputs=Schema(
            [ColSpec(DataType.string, "text", required=False), ColSpec(DataType.string, "error", required=False)],
        ),
    )


def loaded(folder: Path) -> Callable[["Samples"], str]:
    """A model folder as MLflow loads it, behind one call: float samples (N,) to the text of greedy decoding."""
    import mlflow.pyfunc
    import soundfile

    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        greedy, saved = Path(scratch, ARTIFACT_NAME), Path(scratch, "saved")
        with_decoding(folder, greedy, DecodingConfig(), DecodingFiles(), {}, "Greedy.")
        _save(greedy, saved, None)
        model = mlflow.pyfunc.load_model(str(saved))

    rate = read_config(folder).features.sample_rate

    def predict(samples_n: "Samples") -> str:
        recording = io.BytesIO()
        soundfile.write(recording, samples_n, rate, format="WAV", subtype="FLOAT")
        (row,) = model.predict([recording.getvalue()])
        if row["error"]:
            raise ModelError(str(row["error"]))
        return str(row["text"])

    return predict


def _save(folder: Path, target: Path, description: "Model | None") -> None:
    """Write a model folder as a models-from-code pyfunc."""
    import mlflow.pyfunc

    # The signature is given, and the tests serve the model for real.
    warnings.filterwarnings("ignore", message=".*An input example was not provided")
    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        code = Path(scratch, _PACKAGE.name)
        shutil.copytree(_PACKAGE, code, ignore=_NOT_CODE)
        mlflow.pyfunc.save_model(
            path=str(target),
            mlflow_model=description,
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={ARTIFACT_NAME: str(folder)},
            code_paths=[str(code)],
            signature=signature(),
            pip_requirements=requirements(),
        )


def _find(client: "MlflowClient", experiment_id: str, token: str) -> str | None:
    found = client.search_logged_models([experiment_id], filter_string=f"tags.`{TOKEN_TAG}` = '{token}'")
    ready = [model.model_id for model in found if str(model.status).upper().endswith("READY")]
    for model in found:
        if model.model_id not in ready:  # an upload that was cut off
            client.delete_logged_model(model.model_id)
    return ready[0] if ready else None


def _log(client: "MlflowClient", folder: Path, token: str, experiment_id: str, run_id: str | None, step: int) -> str:
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    params = client.get_run(run_id).data.params if run_id else {}
    # Step by step with the client: `Model.log` goes to whatever store and experiment are active in the process.
    model = client.create_logged_model(
        experiment_id, name=ARTIFACT_NAME, source_run_id=run_id, tags={TOKEN_TAG: token}, params=params
    )
    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        saved = Path(scratch, "saved")
        description = Model(
            artifact_path=model.artifact_location,
            run_id=run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
        )
        _save(folder, saved, description)
        client.log_model_artifacts(model.model_id, str(saved))
    if run_id:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=step)])
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def _register_once(
    client: "MlflowClient",
    model_id: str,
    name: str,
    token: str,
    run_id: str | None,
    metrics: Mapping[str, float],
) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = client.search_model_versions(f"name = '{name}' and tags.`{TOKEN_TAG}` = '{token}'")
    if found:
        return read_version(found[0])
    tags = {TOKEN_TAG: token} | {f"{METRIC_TAG}{key}": repr(float(value)) for key, value in metrics.items()}
    version = client.create_model_version(
        name, source=f"models:/{model_id}", run_id=run_id, tags=tags, model_id=model_id
    )
    # The tag by which the model's page links to its versions.
    known = json.loads(client.get_logged_model(model_id).tags.get(_VERSIONS_TAG, "[]"))
    known.append({"name": name, "version": version.version})
    client.set_logged_model_tags(model_id, {_VERSIONS_TAG: json.dumps(known)})
    return read_version(version)
