"""Greedy decoding: the best label of each frame, repeats merged, blanks dropped.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, best path decoding.
"""

import numpy as np
import numpy.typing as npt

from steno.decoding.path import Emission, Hypothesis
from steno.text import BLANK


class GreedyDecoder:
    """The best path. It gives one hypothesis of an utterance, and no use for a language model.

    Args:
        labels: of the text; an emission may have others, those of phonemes, after them. None is all.
    """

    def __init__(self, labels: int | None = None) -> None:
        self._labels = labels

    def decode(self, emission_tv: Emission) -> list[Hypothesis]:
        """The best path of an emission (T, V); its score is its log-probability."""
        emission_tv = emission_tv[:, : self._labels]
        path_t = emission_tv.argmax(axis=1)
        return [Hypothesis(path_t, float(emission_tv.max(axis=1).sum()))]


def greedy_labels(emission_tv: Emission) -> list[int]:
    """Labels of an emission (T, V) of log-probabilities, without blanks."""
    return collapse(emission_tv.argmax(axis=1))


def collapse(path_t: npt.NDArray[np.integer]) -> list[int]:
    """Labels of a CTC path (T,): repeats merged, then blanks dropped."""
    if not len(path_t):
        return []
    starts = np.concatenate(([True], path_t[1:] != path_t[:-1]))
    return [int(label) for label in path_t[starts & (path_t != BLANK)]]
