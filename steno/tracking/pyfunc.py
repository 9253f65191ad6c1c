# mypy: disable-error-code="import-untyped"
"""The pyfunc that MLflow loads: this file itself is what is logged (models from code), with the model folder.

Each input row is one recording: the bytes of an audio file, the same in base64 (what JSON carries), a path, or
float samples at the model's rate. Each output row has ``text``, and ``error`` where a recording could not be read; the
others go on. A scoring server takes no paths, because they would name the server's own files.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from steno import audio
from steno.errors import AudioError, StenoError
from steno.runtime import Recognizer
from steno.runtime.files import transcribe_files

# Set by MLflow's scoring server in its own process.
_SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{16,}={0,2}\s*")


class StenoModel(PythonModel):
    """A :class:`steno.runtime.Recognizer` behind MLflow's interface."""

    def load_context(self, context: PythonModelContext) -> None:
        self.recognizer = Recognizer(Path(context.artifacts["model"]))

    # A data frame is what MLflow hands over whatever the caller gave. With any other hint it takes the schema
    # from the hint, warns, and refuses half of the forms of JSON.
    def predict(
        self,
        context: PythonModelContext | None,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, str | None]]:
        """Transcribe recordings: one row each, in their order, with ``text`` and ``error``, one of them None."""
        results: list[dict[str, str | None]] = []
        decoded: dict[int, audio.Samples] = {}
        for index, recording in enumerate(rows(model_input)):
            results.append({"text": None, "error": None})
            try:
                decoded[index] = samples(recording, self.recognizer.sample_rate)
            except StenoError as error:
                results[index]["error"] = str(error)
        # As `steno transcribe` does it: a long recording is cut at its silences, and no failure costs another row.
        for index, result in zip(decoded, transcribe_files(self.recognizer, decoded.values()), strict=True):
            if result.transcript is None:
                results[index]["error"] = str(result.error)
            else:
                results[index]["text"] = result.transcript.text
        return results


def rows(model_input: Any) -> Iterable[Any]:
    """The recordings in whatever MLflow or a caller hands over; a data frame has them in its only column.

    Raises:
        AudioError: a data frame with several columns, none of them named ``audio``.
    """
    columns = getattr(model_input, "columns", None)
    if columns is not None:
        name = "audio" if "audio" in columns else columns[0]
        if len(columns) > 1 and name != "audio":
            raise AudioError(f"the input has the columns {list(columns)}", "Put the recordings in `audio`.")
        return list(model_input[name])
    if isinstance(model_input, dict):
        return rows(_only_column(model_input))
    if isinstance(model_input, str | bytes | bytearray | os.PathLike):
        return [model_input]
    if isinstance(model_input, np.ndarray) and model_input.ndim == 1 and model_input.dtype != object:
        return [model_input]
    return list(model_input)


def samples(recording: Any, rate: int = audio.SAMPLE_RATE) -> audio.Samples:
    """One recording as samples (N,) at the model's rate, in Hz.

    Raises:
        AudioError: it cannot be decoded, or is of no kind that is understood.
    """
    if isinstance(recording, bytes | bytearray):
        return audio.load(_unwrap(bytes(recording)), rate)
    if isinstance(recording, str):
        decoded = _unwrap(recording.encode())
        if decoded != recording.encode() and not (_paths_allowed() and _is_file(recording)):
            return audio.load(decoded, rate)
        return audio.load(_path(recording), rate)
    if isinstance(recording, os.PathLike):
        return audio.load(_path(recording), rate)
    return _floats(recording)


def _floats(recording: Any) -> audio.Samples:
    try:
        array = np.asarray(recording, dtype=np.float32)
    except (TypeError, ValueError):
        array = np.empty((0, 0), dtype=np.float32)
    if array.ndim != 1 or not array.size:
        raise AudioError(
            f"a {type(recording).__name__} is not a recording",
            "Give the bytes of an audio file, base64, a path, or one channel of float samples at the model's rate.",
        )
    if not np.isfinite(array).all():
        raise AudioError("the samples hold values that are not numbers")
    return array


def _unwrap(data: bytes) -> bytes:
    """What base64 holds, or the data itself: no audio format is written in base64's letters alone."""
    if not _BASE64.fullmatch(data):
        return data
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return data


def _is_file(name: str) -> bool:
    """Whether it names a file; base64 of a recording is too long for a name."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _paths_allowed() -> bool:
    return os.environ.get(_SERVING, "").lower() not in ("true", "1")


def _path(path: "str | os.PathLike[str]") -> "str | os.PathLike[str]":
    if not _paths_allowed():
        raise AudioError("the recording is not base64", "Send the bytes of an audio file in base64.")
    return path


def _only_column(table: dict[str, Any]) -> Any:
    if "audio" in table or len(table) != 1:
        return table.get("audio", [])
    return next(iter(table.values()))


mlflow.models.set_model(StenoModel())
