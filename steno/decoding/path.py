"""From a CTC path, one label a frame, to tokens and words with their times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steno.decoding.transcript import Token, Word
from steno.text import BLANK, WORD_START

Emission = npt.NDArray[np.float32]
"""Log-probabilities (T, V) of one utterance; those of phonemes, where a model has any, come after the text's labels."""

Path = npt.NDArray[np.int64]
"""Labels (T,) of one utterance, blanks and repeats included."""


@dataclass(frozen=True, slots=True)
class Run:
    """One token on a path: its label, its first frame, the frame after its last, and its best log-probability."""

    label: int
    first: int
    end: int
    log_prob: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One hypothesis of an utterance: a path (T,), and its score, of which the higher is the better."""

    path_t: Path
    score: float


def runs(path_t: Path, emission_tv: Emission) -> list[Run]:
    """The tokens on a path, in their order: repeats merged, blanks dropped."""
    if not len(path_t):
        return []
    firsts = np.flatnonzero(np.concatenate(([True], path_t[1:] != path_t[:-1])))
    ends = np.append(firsts[1:], len(path_t))
    found = []
    for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
        label = int(path_t[first])
        if label != BLANK:
            found.append(Run(label, first, end, float(emission_tv[first:end, label].max())))
    return found


def words_of(
    found: Sequence[Run], tokens: Sequence[str], seconds_per_frame: float, offset: float = 0.0
) -> tuple[Word, ...]:
    """Words with times in seconds from ``offset``.

    A space, or a token that begins with sentencepiece's mark, begins a word. A token lasts from its first frame to
    its last; a word from its first token to its last. The confidence is the geometric mean of the probabilities
    that the tokens have at their best frames; a word's first token answers for the space before it.
    """
    groups: list[list[Run]] = []
    boundary = True
    for run in found:
        text = tokens[run.label]
        if text.startswith(WORD_START) or text == " ":
            boundary = True
        if not text.strip(" " + WORD_START):
            continue
        if boundary:
            groups.append([])
            boundary = False
        groups[-1].append(run)
    return tuple(_word(group, tokens, seconds_per_frame, offset) for group in groups)


def _word(group: Sequence[Run], tokens: Sequence[str], seconds: float, offset: float) -> Word:
    spelled = tuple(
        Token(tokens[run.label].lstrip(WORD_START), offset + run.first * seconds, offset + run.end * seconds)
        for run in group
    )
    confidence = float(np.exp(np.mean([run.log_prob for run in group])))
    return Word("".join(token.text for token in spelled), spelled[0].start, spelled[-1].end, confidence, spelled)
