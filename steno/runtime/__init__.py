"""The runtime: a recogniser over a model folder. Needs neither torch nor mlflow.

Its names are loaded when they are asked for: who only reads a model folder's configuration does not wait for ONNX
Runtime.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions
    from steno.decoding.transcript import Transcript
    from steno.runtime.recognizer import Recognizer

__all__ = ["DecodingOptions", "Recognizer", "Transcript"]

_HOMES = {
    "DecodingOptions": "steno.decoding.options",
    "Recognizer": "steno.runtime.recognizer",
    "Transcript": "steno.decoding.transcript",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
