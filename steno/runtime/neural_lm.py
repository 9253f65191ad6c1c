"""A neural language model of one file, on ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from steno.errors import LanguageModelError, ModelError
from steno.runtime.graph import Graph
from steno.text import PieceTokenizer

METADATA = "steno.language_model"
"""Under which name a graph keeps its pieces, as JSON."""


class NeuralLM:
    """Says how likely texts are.

    Args:
        path: a file that ``steno lm train`` wrote.
        threads: that compute; None is one a core.

    Raises:
        LanguageModelError: it is no such file.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        try:
            self._graph = Graph(path, threads)
            held = orjson.loads(self._graph.metadata[METADATA])
            self.tokenizer = PieceTokenizer(held["kind"], tuple(map(tuple, held["pieces"])), held["alphabet"])
            self.about: dict[str, Any] = held["about"]
            """What it was made of, and how."""
        except OSError as problem:
            raise LanguageModelError(
                f"{path}: {problem.strerror or problem}", "Train one with: steno lm train"
            ) from None
        except (ModelError, KeyError, TypeError, ValueError):
            raise LanguageModelError(
                f"{path}: is no neural language model", "steno lm train makes one; steno lm build makes n-grams."
            ) from None
        self._path = path

    def check_fits(self, alphabet: str) -> None:
        """Check that it can spell whatever a recogniser writes.

        Raises:
            LanguageModelError: it lacks characters of the alphabet.
        """
        if lacking := self.tokenizer.unknown("".join(alphabet.split())):
            raise LanguageModelError(
                f"{self._path}: does not fit the alphabet {alphabet!r}: it lacks {' '.join(lacking)}",
                "Train one on text in the recogniser's language: steno lm train --alphabet.",
            )

    def log_likelihoods(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """ln of the chance of each text (N,), of normalised words with spaces between them.

        Raises:
            TextError: a text has characters that the model cannot spell.
        """
        return self.log_likelihoods_of([self.tokenizer.encode(text) for text in texts])

    def log_likelihoods_of(self, spelled: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """The same of texts that are spelled in the model's labels."""
        rows = [{"labels": np.array([one], dtype=np.int64)} for one in spelled if len(one)]
        found = iter(self._graph.each("log_probs", rows))
        return np.array([float(next(found).sum(dtype=np.float64)) if len(one) else 0.0 for one in spelled])
