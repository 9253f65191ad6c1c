"""A second pass over the readings of beam search, by witnesses that would be too slow to search with.

Letters and phonemes are two witnesses of the same speech, which err in different places: phonemes take over a share of
what the letters say of each reading. A neural language model judges whole readings better than n-grams, which see only
a few words back: it takes over a share of what they say. Only then the best reading is chosen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from steno.decoding.config import DecodingConfig
from steno.decoding.greedy import collapse
from steno.decoding.path import Emission, Hypothesis
from steno.phonemes import Pronunciations
from steno.text import BLANK, Tokenizer

_RESCALED = 4
"""Frames after which chances are made large again."""
_MOST = 200
"""Readings of one utterance that are compared."""
_JUDGED = 50
"""Of them, the best so far, which the neural language model is asked about: more cost time and change nothing."""

Scores = npt.NDArray[np.float64]


class TextScorer(Protocol):
    """Says how likely texts are: a neural language model."""

    def log_likelihoods(self, texts: Sequence[str]) -> Scores:
        """ln of the chance of each text (N,), of normalised words with spaces between them."""


@dataclass(frozen=True)
class Readings:
    """The readings of an utterance, of each text its best path, and what the witnesses say of each (N,).

    Args:
        found: with the scores of beam search, best first.
        sounds_n: ln of the chance of its phonemes less that of its letters; 0 where phonemes have no say.
        ngrams_n, neural_n: ln of the chance of its words by the n-gram and by the neural language model, or 0.
    """

    found: list[Hypothesis]
    sounds_n: Scores
    ngrams_n: Scores
    neural_n: Scores

    def scores(self, config: DecodingConfig) -> Scores:
        """Their scores (N,) after the second pass; -inf where the phonemes do not fit into the frames."""
        score_n = np.array([one.score for one in self.found])
        if config.phoneme_share:
            score_n = score_n + config.phoneme_share * self.sounds_n
        score_n = score_n + config.neural_weight * self.neural_n
        score_n = score_n - config.neural_share * config.lm_weight * self.ngrams_n
        return np.where(np.isnan(score_n), -np.inf, score_n)

    def ordered(self, config: DecodingConfig) -> list[Hypothesis]:
        """The readings with their new scores, best first."""
        scored = [replace(one, score=float(new)) for one, new in zip(self.found, self.scores(config), strict=True)]
        return sorted((one for one in scored if np.isfinite(one.score)), key=lambda one: -one.score) or self.found


@dataclass(frozen=True)
class SecondPass:
    """Asks the witnesses.

    Args:
        tokenizer: of the letters.
        config: the weights, by which the readings that the neural language model is asked about are chosen.
        ngrams: ln of the chance of words, by the language model that beam search has.
        pronunciations: what words sound like, where a model writes phonemes.
        neural: a neural language model, where there is one.
    """

    tokenizer: Tokenizer
    config: DecodingConfig
    ngrams: Callable[[Sequence[str]], float]
    pronunciations: Pronunciations | None = None
    neural: TextScorer | None = None

    def readings(self, found: Sequence[Hypothesis], letters_tv: Emission, phonemes_tp: Emission) -> Readings:
        """What the witnesses say of an utterance's readings.

        A reading with a word whose sound is not known cannot be compared by phonemes: it goes, or phonemes have no say
        where it is the best one.

        Args:
            found: by beam search, best first, at least one.
            letters_tv: log-probabilities (T, V) of the letters, as beam search saw them.
            phonemes_tp: log-probabilities (T, P) of the phonemes; P is 0 where there are none.
        """
        best: dict[tuple[int, ...], Hypothesis] = {}
        for one in found:
            best.setdefault(tuple(collapse(one.path_t)), one)
        spelled = list(best)[:_MOST]
        texts = {one: self.tokenizer.decode(list(one)).split() for one in spelled}
        sounds_n = np.zeros(len(spelled))
        if self.pronunciations is not None and (heard := self._heard(self.pronunciations, texts)):
            spelled = list(heard)
            sounds_n = log_likelihoods(phonemes_tp, list(heard.values())) - log_likelihoods(letters_tv, spelled)
        nothing_n = np.zeros(len(spelled))
        heard_so_far = Readings([best[one] for one in spelled], sounds_n, nothing_n, nothing_n)
        if self.neural is None:
            return heard_so_far
        kept = sorted(np.argsort(-heard_so_far.scores(self.config), kind="stable")[:_JUDGED].tolist())
        judged = [texts[spelled[place]] for place in kept]
        return Readings(
            [heard_so_far.found[place] for place in kept],
            sounds_n[kept],
            np.array([self.ngrams(words) for words in judged]),
            self.neural.log_likelihoods([" ".join(words) for words in judged]),
        )

    @staticmethod
    def _heard(
        pronunciations: Pronunciations, texts: dict[tuple[int, ...], list[str]]
    ) -> dict[tuple[int, ...], list[int]]:
        """The phonemes of each spelling that has any; of none, if they are not known of the first."""
        heard = {spelled: pronunciations.spelled(words) for spelled, words in texts.items()}
        if next(iter(heard.values()), None) is None:
            return {}
        return {spelled: sounds for spelled, sounds in heard.items() if sounds is not None}


def log_likelihoods(emission_tv: Emission, spellings: Sequence[Sequence[int]]) -> Scores:
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
