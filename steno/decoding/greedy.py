"""Greedy decoding: the best label of each frame, repeats merged, blanks dropped.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, best path decoding.
"""

import numpy as np
import numpy.typing as npt

from steno.text import BLANK


def greedy_labels(emission_tv: npt.NDArray[np.float32]) -> list[int]:
    """Labels of an emission (T, V) of log-probabilities, without blanks."""
    return collapse(emission_tv.argmax(axis=1))


def collapse(path_t: npt.NDArray[np.integer]) -> list[int]:
    """Labels of a CTC path (T,): repeats merged, then blanks dropped."""
    if not len(path_t):
        return []
    starts = np.concatenate(([True], path_t[1:] != path_t[:-1]))
    return [int(label) for label in path_t[starts & (path_t != BLANK)]]
