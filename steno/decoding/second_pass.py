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
    rescaled after each frame.
    """
    count, longest = len(spellings), max((len(one) for one in spellings), default=0)
    symbols_ns = np.full((count, 2 * longest + 1), BLANK)
    for row, one in zip(symbols_ns, spellings, strict=True):
        row[1 : 2 * len(one) : 2] = one
    skips_ns = np.zeros(symbols_ns.shape)
    skips_ns[:, 3::2] = (symbols_ns[:, 3::2] != symbols_ns[:, 1:-2:2]) & (symbols_ns[:, 3::2] != BLANK)
    last_n = 2 * np.array([len(one) for one in spellings])
    forward_ns = np.zeros((count, 2 * longest + 3))  # two states before the first, from which nothing comes
    forward_ns[:, 2] = 1.0
    total_n = np.zeros(count)
    with np.errstate(divide="ignore"):
        for log_prob_v in emission_tv.astype(np.float64):
            highest = log_prob_v.max()
            likely_ns = np.exp(log_prob_v - highest)[symbols_ns]
            following_ns = forward_ns[:, 2:] + forward_ns[:, 1:-1] + skips_ns * forward_ns[:, :-2]
            forward_ns[:, 2:] = following_ns * likely_ns
            scale_n = forward_ns.max(axis=1)
            scale_n[scale_n == 0] = 1.0
            forward_ns /= scale_n[:, None]
            total_n += np.log(scale_n) + highest
        rows = np.arange(count)
        ends_n = forward_ns[rows, 2 + last_n] + np.where(last_n > 0, forward_ns[rows, 1 + last_n], 0.0)
        return np.asarray(total_n + np.log(ends_n), dtype=np.float64)
