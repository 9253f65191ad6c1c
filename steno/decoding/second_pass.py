"""A second pass over the hypotheses of beam search, with models that would be too slow to search with.

The n-best list is rescored. Characters and phonemes err in different places: phonemes take over a share of the
acoustic score of each hypothesis. Hypotheses that were found by one of them often are right where those of the other
are wrong, so the best are recombined. A neural language model scores whole hypotheses better than n-grams, which see
only a few words back: it takes over a share of what they give. Only then the best hypothesis is chosen.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from steno.decoding.config import DecodingConfig
from steno.decoding.path import Emission
from steno.phonemes import Pronunciations
from steno.text import BLANK, Tokenizer

_RESCALED = 4
"""Frames after which probabilities are made large again."""
_MOST = 200
"""Hypotheses of one utterance that are rescored, of those found by characters, and of those found by phonemes."""
_RECOMBINED = 80
"""Hypotheses that the best one is recombined with."""
_NEW = 400
"""New hypotheses that are made of them at most, each time."""
_TIMES = 6
"""How often the best hypothesis is recombined, while a better one comes of it."""
_RESCORED = 50
"""The best so far, which the neural language model scores: more cost time and change nothing."""

Scores = npt.NDArray[np.float64]


class TextScorer(Protocol):
    """Says how likely texts are: a neural language model."""

    def log_likelihoods(self, texts: Sequence[str]) -> Scores:
        """ln of the probability of each text (N,), of normalised words with spaces between them."""


class NGrams(Protocol):
    """What beam search knows of words: its language model and the hotwords."""

    def log_likelihood(self, words: Sequence[str]) -> float:
        """ln of the probability of words as a whole sentence."""

    def gain(self, words: Sequence[str]) -> float:
        """What the hotwords add."""


@dataclass(frozen=True)
class NBest:
    """The n-best list of an utterance, and the scores of each hypothesis (N,).

    Args:
        texts: words with spaces between them.
        letters_n, phonemes_n: ln of the probability of its letters and of its phonemes, both of its letters where
            phonemes are not used; -inf where they do not fit into the frames.
        ngrams_n, neural_n: ln of the probability of its words by the n-gram and by the neural language model, which is
            0 where it was not used.
        gains_n: what hotwords add.
    """

    texts: list[str]
    letters_n: Scores
    phonemes_n: Scores
    ngrams_n: Scores
    neural_n: Scores
    gains_n: Scores

    @cached_property
    def _words_n(self) -> Scores:
        return np.array([len(text.split()) for text in self.texts], dtype=np.float64)

    def scores(self, config: DecodingConfig) -> Scores:
        """The total scores (N,) with these weights; -inf where the letters or the phonemes do not fit."""
        share = config.phoneme_share
        score_n = (1 - share) * self.letters_n if share < 1 else np.zeros(len(self.texts))
        if share:
            score_n = score_n + share * self.phonemes_n
        score_n = score_n + (1 - config.neural_share) * config.lm_weight * self.ngrams_n
        score_n = score_n + config.neural_weight * self.neural_n + self.gains_n
        return np.asarray(score_n + config.word_score * self._words_n, dtype=np.float64)

    def best(self, config: DecodingConfig, most: int) -> list[tuple[str, float]]:
        """The best texts with these weights and their scores, best first, without any that do not fit.

        Letters must fit even where they have no weight: they say where words are.
        """
        score_n = np.where(np.isfinite(self.letters_n), self.scores(config), -np.inf)
        order = np.argsort(-score_n, kind="stable")[:most].tolist()
        return [(self.texts[place], float(score_n[place])) for place in order if np.isfinite(score_n[place])]

    def subset(self, places: Sequence[int]) -> Self:
        """Those at these places."""
        return type(self)([self.texts[place] for place in places], *(column[places] for column in self._columns))

    def joined(self, more: "NBest") -> Self:
        """These hypotheses and more."""
        both = zip(self._columns, more._columns, strict=True)
        return type(self)(self.texts + more.texts, *(np.concatenate(columns) for columns in both))

    @property
    def _columns(self) -> tuple[Scores, ...]:
        return self.letters_n, self.phonemes_n, self.ngrams_n, self.neural_n, self.gains_n


@dataclass(frozen=True)
class SecondPass:
    """Rescores and recombines hypotheses.

    Args:
        tokenizer: of the letters.
        config: the weights with which hypotheses are recombined, and chosen for the neural language model.
        ngrams: what beam search knows of words.
        pronunciations: what words sound like, where a model writes phonemes.
        phoneme_search: texts that a search by the phonemes alone finds in their log-probabilities (T, P), best first.
        neural: a neural language model, where there is one.
    """

    tokenizer: Tokenizer
    config: DecodingConfig
    ngrams: NGrams
    pronunciations: Pronunciations | None = None
    phoneme_search: Callable[[Emission], list[str]] | None = None
    neural: TextScorer | None = None

    def rescore(self, found: Sequence[str], letters_tv: Emission, phonemes_tp: Emission) -> NBest:
        """The n-best list of an utterance with all scores, and with hypotheses that are recombined from it.

        A hypothesis with a word whose pronunciation is not known has no score by phonemes: it goes, or phonemes are
        not used where it is the best one.

        Args:
            found: texts that beam search found, best first, at least one.
            letters_tv: log-probabilities (T, V) of the letters, as beam search saw them.
            phonemes_tp: log-probabilities (T, P) of the phonemes; P is 0 where there are none.
        """
        texts = list(found[:_MOST])
        pronunciations = self.pronunciations
        if pronunciations is None or pronunciations.spelled(texts[0].split()) is None:
            pronunciations = None
        elif self.phoneme_search is not None:
            known = set(texts)
            texts += [text for text in self.phoneme_search(phonemes_tp)[:_MOST] if text not in known]

        def score(texts: Sequence[str]) -> NBest:
            return self._scored(texts, letters_tv, phonemes_tp, pronunciations)

        nbest = self._recombined(score(texts), score)
        if self.neural is None:
            return nbest
        kept = sorted(np.argsort(-nbest.scores(self._without_neural), kind="stable")[:_RESCORED].tolist())
        rescored = nbest.subset(kept)
        return replace(rescored, neural_n=self.neural.log_likelihoods(rescored.texts))

    @cached_property
    def _without_neural(self) -> DecodingConfig:
        return self.config.model_copy(update={"neural_weight": 0.0, "neural_share": 0.0})

    def _scored(
        self, texts: Sequence[str], letters_tv: Emission, phonemes_tp: Emission, pronunciations: Pronunciations | None
    ) -> NBest:
        """Texts with all scores but the neural language model's, but for those whose pronunciation is not known."""
        split = {text: text.split() for text in texts}
        if pronunciations is not None:
            spelled = {text: pronunciations.spelled(words) for text, words in split.items()}
            pronounced = {text: labels for text, labels in spelled.items() if labels is not None}
            split = {text: split[text] for text in pronounced}
        letters_n = log_likelihoods(letters_tv, [self.tokenizer.encode(text) for text in split])
        return NBest(
            list(split),
            letters_n,
            log_likelihoods(phonemes_tp, list(pronounced.values())) if pronunciations is not None else letters_n,
            np.array([self.ngrams.log_likelihood(words) for words in split.values()]),
            np.zeros(len(split)),
            np.array([self.ngrams.gain(words) for words in split.values()]),
        )

    def _recombined(self, nbest: NBest, score: Callable[[Sequence[str]], NBest]) -> NBest:
        """These hypotheses, and what comes of the best one when others' words are put where it differs from them."""
        for _ in range(_TIMES):
            score_n = nbest.scores(self._without_neural)
            first, *others = (nbest.texts[place] for place in np.argsort(-score_n, kind="stable")[: _RECOMBINED + 1])
            known = set(nbest.texts)
            fresh = [text for text in recombinations(first, others) if text not in known]
            if not fresh:
                break
            more = score(fresh[:_NEW])
            better = more.scores(self._without_neural).max(initial=-np.inf) > score_n.max()
            nbest = nbest.joined(more)
            if not better:
                break
        return nbest


def recombinations(text: str, others: Iterable[str]) -> list[str]:
    """What comes of a text where one of the places at which another differs from it is taken from that one."""
    own = text.split()
    made: dict[str, None] = {}
    for other in others:
        theirs = other.split()
        changes = [change for change in Levenshtein.opcodes(own, theirs) if change.tag != "equal"]
        if len(changes) > 1:  # one change alone makes the other text
            for change in changes:
                taken = theirs[change.dest_start : change.dest_end]
                made[" ".join(own[: change.src_start] + taken + own[change.src_end :])] = None
    return list(made)


def log_likelihoods(emission_tv: Emission, spellings: Sequence[Sequence[int]]) -> Scores:
    """ln of the probability of each spelling, over all of its CTC paths: (N,).

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
