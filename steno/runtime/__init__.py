"""The runtime: a recogniser over a model folder. Needs neither torch nor mlflow."""

from steno.decoding.build import DecodingOptions
from steno.decoding.transcript import Transcript
from steno.runtime.recognizer import Recognizer

__all__ = ["DecodingOptions", "Recognizer", "Transcript"]
