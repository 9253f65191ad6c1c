"""A second pass over the readings of beam search: what their words sound like, by a model that writes phonemes too.

Letters and phonemes are two witnesses of the same speech, which err in different places. Beam search with letters finds
readings; here the phonemes take over a share of what the letters say of each. Only then the best one is chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from steno.decoding.greedy import collapse
from steno.decoding.path import Emission, Hypothesis
from steno.phonemes import Pronunciations
from steno.text import BLANK, Tokenizer

_RESCALED = 4
"""Frames after which chances are made large again."""
_MOST = 200
"""Readings of one utterance that are compared."""


@dataclass(frozen=True)
class SecondPass:
    """Puts readings in order.

    Args:
        tokenizer: of the letters.
        pronunciations: what words sound like.
        share: of the acoustic score that the phonemes give, 0 to 1.
    """

    tokenizer: Tokenizer
    pronunciations: Pronunciations
    share: float

    def ordered(self, found: Sequence[Hypothesis], letters_tv: Emission, phonemes_tp: Emission) -> list[Hypothesis]:
        """The readings of an utterance, best first, with their new scores; of each text its best path alone.

        A reading with a word whose sound is not known cannot be compared. It stays where it was the best one, and goes
        where it was not.

        Args:
            found: by beam search, best first.
            letters_tv: log-probabilities (T, V) of the letters, as beam search saw them.
            phonemes_tp: log-probabilities (T, P) of the phonemes.
        """
        best: dict[tuple[int, ...], Hypothesis] = {}
        for one in found:
            best.setdefault(tuple(collapse(one.path_t)), one)
        readings = list(best.items())[:_MOST]
        heard = [self.pronunciations.spelled(self.tokenizer.decode(list(spelled)).split()) for spelled, _ in readings]
        if not readings or heard[0] is None:
            return list(found)
        known = [(*reading, sound) for reading, sound in zip(readings, heard, strict=True) if sound is not None]
        by_letters = log_likelihoods(letters_tv, [spelled for spelled, _, _ in known])
        by_phonemes = log_likelihoods(phonemes_tp, [sound for _, _, sound in known])
        gains = self.share * (by_phonemes - by_letters)
        scored = [replace(one, score=one.score + float(g)) for (_, one, _), g in zip(known, gains, strict=True)]
        return sorted((one for one in scored if np.isfinite(one.score)), key=lambda one: -one.score) or list(found)


def log_likelihoods(emission_tv: Emission, spellings: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """ln of the chance of each spelling, over all of its CTC paths: (N,).

    Args:
        emission_tv: log-probabilities (T, V), not necessarily of sum one.
        spellings: N sequences of labels.

    Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, the forward variables, which are
    rescaled every few frames.
    """
    frames, count = len(emission_tv), len(spellings)
    lengths_n = np.array([len(one) for one in spellings], dtype=np.int64)
    longest, shortest = int(lengths_n.max(initial=0)), int(lengths_n.min(initial=0))
    never = emission_tv.shape[1]  # a label that pads the shorter ones
    labels_ln = np.full((longest, count), never)
    for number, one in enumerate(spellings):
        labels_ln[: len(one), number] = one
    skips_ln = np.zeros(labels_ln.shape)  # no blank is needed between two labels that differ
    skips_ln[1:] = labels_ln[1:] != labels_ln[:-1]
    # Chances to be in the blank before each label or after the last, and in each label.
    blank_ln, label_ln = np.zeros((longest + 1, count)), np.zeros((longest, count))
    blank_ln[0] = 1.0
    log_scale_n = np.zeros(count)
    likely = np.zeros(never + 1)
    for frame, log_prob_v in enumerate(emission_tv.astype(np.float64)):
        highest = log_prob_v.max()
        np.exp(log_prob_v - highest, out=likely[:never])
        log_scale_n += highest
        # Only these labels can have been reached, and can still lead to an end.
        low, high = max(0, shortest - (frames - frame) - 1), min(longest, frame + 1)
        first, before = max(1, low), max(0, low - 1)
        entered_ln = label_ln[low:high] + blank_ln[low:high]
        entered_ln[first - low :] += skips_ln[first:high] * label_ln[before : max(high - 1, before)]
        blank_ln[first : high + 1] += label_ln[before:high]
        blank_ln[low : high + 1] *= likely[BLANK]
        np.multiply(entered_ln, likely[labels_ln[low:high]], out=label_ln[low:high])
        if frame % _RESCALED == _RESCALED - 1:
            scale_n = np.maximum(blank_ln[low : high + 1].max(axis=0), label_ln[low:high].max(axis=0, initial=0))
            scale_n[scale_n == 0] = 1.0
            blank_ln[low : high + 1] /= scale_n
            label_ln[low:high] /= scale_n
            log_scale_n += np.log(scale_n)
    columns = np.arange(count)
    ends_n = blank_ln[lengths_n, columns]
    if longest:
        ends_n = ends_n + np.where(lengths_n > 0, label_ln[lengths_n - 1, columns], 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(log_scale_n + np.log(ends_n), dtype=np.float64)
