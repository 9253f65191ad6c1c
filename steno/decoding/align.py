"""Forced alignment: the best CTC path of an emission that spells given labels.

Source: Kürzinger et al., "CTC-Segmentation of Large Corpora for German End-to-End Speech Recognition", SPECOM 2020,
for the idea; the path is Viterbi's over the labels with blanks between them.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from steno.decoding.greedy import collapse
from steno.decoding.path import Emission, Hypothesis, Path
from steno.errors import DecodingError
from steno.text import BLANK, required_frames

_STAY, _NEXT, _SKIP = 0, 1, 2
_PART = 1500
"""Frames that are compared at a time with their labels backwards: the work of more grows with their square."""
_LEAST_BEHIND = 1e-6
"""Log-probability a frame that is nothing."""


def forced_alignment(emission_tv: Emission, labels: Sequence[int]) -> Hypothesis:
    """The most probable path (T,) that spells the labels, and its log-probability.

    Time grows with frames × labels; memory with labels × √frames, since the way back is found block by block.

    Raises:
        DecodingError: there are no labels, or fewer frames than they need.
    """
    if not labels:
        raise DecodingError("there is nothing to align: the text is empty")
    needed = required_frames(labels)
    if len(emission_tv) < needed:
        raise DecodingError(
            f"the text needs {needed} frames, the recording has {len(emission_tv)}",
            "The text does not belong to the recording, or the recording was cut.",
        )
    symbols, may_skip = _states(labels)
    block = max(1, int(np.sqrt(len(emission_tv))))
    starts = list(range(0, len(emission_tv), block))
    score_s = np.full(len(symbols), -np.inf)
    score_s[0] = 0.0
    kept = []
    for start in starts:
        kept.append(score_s)
        score_s, _ = _advance(score_s, emission_tv[start : start + block], symbols, may_skip, start == 0, False)
    state = len(symbols) - 1 if score_s[-1] >= score_s[-2] else len(symbols) - 2
    best = float(score_s[state])
    path = np.zeros(len(emission_tv), dtype=np.int64)
    for start, before in zip(reversed(starts), reversed(kept), strict=True):
        part = emission_tv[start : start + block]
        _, steps = _advance(before, part, symbols, may_skip, start == 0, True)
        for frame in range(len(part) - 1, -1, -1):
            path[start + frame] = symbols[state]
            state -= int(steps[frame, state])
    return Hypothesis(path, best)


def misfit(emission_tv: Emission, path_t: Path) -> float | None:
    """How far a forced alignment's path (T,) is from what the emission says by itself: 0 if it says the same.

    It is the log-probability by which the path falls behind the best path of any labels, as a share of that by which
    the same labels backwards do, which spell no text of the recording. So it hangs neither on the model's quality nor
    on the noise, which make both larger. About 1 says that the labels fit as well as any others. A long path is
    compared part by part, each with its own labels backwards.

    None where the labels are the same backwards, or there are none.
    """
    best = float(emission_tv.max(axis=1).sum())
    behind = best - float(emission_tv[np.arange(len(path_t)), path_t].sum())
    backwards, differ = 0.0, False
    for start in range(0, len(path_t), _PART):
        labels = collapse(path_t[start : start + _PART])
        backwards += _log_probability(emission_tv[start : start + _PART], labels[::-1])
        differ |= labels != labels[::-1]
    if not differ:
        return None
    return behind / max(best - backwards, behind, _LEAST_BEHIND * len(path_t))


def _log_probability(emission_tv: Emission, labels: Sequence[int]) -> float:
    """ln of the chance of the most probable path that spells the labels, for which there are frames enough."""
    if not labels:
        return float(emission_tv[:, BLANK].sum())
    symbols, may_skip = _states(labels)
    score_s = np.full(len(symbols), -np.inf)
    score_s[0] = 0.0
    score_s, _ = _advance(score_s, emission_tv, symbols, may_skip, True, False)
    return float(score_s[-2:].max())


def _states(labels: Sequence[int]) -> tuple[Path, npt.NDArray[np.bool_]]:
    """The labels with blanks around each (S,), and whether the blank before each may be skipped (S,)."""
    symbols = np.full(2 * len(labels) + 1, BLANK, dtype=np.int64)
    symbols[1::2] = labels
    may_skip = np.zeros(len(symbols), dtype=bool)
    may_skip[3::2] = symbols[3::2] != symbols[1:-2:2]
    return symbols, may_skip


def _advance(
    score_s: npt.NDArray[np.float64],
    emission_tv: Emission,
    symbols: Path,
    may_skip: npt.NDArray[np.bool_],
    first: bool,
    keep: bool,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Scores of the states (S,) after more frames, and, if they are kept, how far each state came from: (T, S)."""
    steps = np.zeros((len(emission_tv) if keep else 0, len(symbols)), dtype=np.uint8)
    for frame, log_prob_v in enumerate(emission_tv):
        stay, following, skip = score_s, np.full_like(score_s, -np.inf), np.full_like(score_s, -np.inf)
        following[1:] = score_s[:-1]
        skip[2:] = np.where(may_skip[2:], score_s[:-2], -np.inf)
        best = np.maximum(np.maximum(stay, following), skip)
        if keep:
            steps[frame] = np.where(best == stay, _STAY, np.where(best == following, _NEXT, _SKIP))
        score_s = best + log_prob_v[symbols]
        if first and frame == 0:
            # The start is a state of its own: the first frame is at the first blank or the first label.
            score_s[2:] = -np.inf
    return score_s, steps
