"""The runtime: a recogniser over a model folder. Needs neither torch nor mlflow."""

from steno.runtime.recognizer import Recognizer, Transcript

__all__ = ["Recognizer", "Transcript"]
