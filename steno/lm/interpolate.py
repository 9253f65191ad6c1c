"""Several n-gram models as one: their probabilities, weighed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from steno.lm.corpus import BEGIN, SPECIALS, UNKNOWN, Corpus
from steno.lm.model import NEVER, BackoffModel, Level

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_LEAST = 1e-4
"""What an n-gram leaves to words that do not follow it, at least: sums of numbers in 8 bits may be above 1."""


def interpolate(models: Sequence[BackoffModel], shares: Sequence[float]) -> BackoffModel:
    """Linear interpolation: each n-gram that a model holds gets the mean of the probabilities that all give it.

    What is left of each context is spread as the level below says, with a back-off weight of its own. A word that a
    model does not know has no probability there.

    Sources: Jelinek and Mercer, "Interpolated estimation of Markov source parameters from sparse data", 1980; Stolcke,
    "SRILM - an extensible language modeling toolkit", ICSLP 2002, for one back-off model in place of several.

    Args:
        shares: of the models in the mean, in their order; their sum is 1.
    """
    known = dict.fromkeys(word for model in models for word in model.vocabulary)
    vocabulary = [*SPECIALS, *(word for word in known if word not in SPECIALS)]
    parts = [_Part(model, vocabulary) for model in models]
    levels: list[Level] = []
    mean = np.zeros(0)
    for n in range(max(model.order for model in models)):
        key = np.unique(np.concatenate([part.keys(n) for part in parts]))
        context, word = key // len(vocabulary), key % len(vocabulary)
        suffix = np.zeros(len(key), np.int64)
        for part in parts:
            part.place(n, key, suffix)
        below, mean = mean, np.zeros(len(key))
        for part, share in zip(parts, shares, strict=True):
            mean += share * part.climb(n, context, suffix)
        if n:
            levels[-1] = _with_backoff(levels[-1], context, mean, below[suffix])
        with np.errstate(divide="ignore"):
            log_prob = np.log10(mean).clip(NEVER, 0).astype(np.float32)
        levels.append(
            Level(
                word=word.astype(np.int32),
                context=context.astype(np.int32),
                suffix=suffix.astype(np.int32),
                log_prob=log_prob,
                log_backoff=np.zeros(len(key), np.float32),
            )
        )
    return BackoffModel(vocabulary, levels)


def best_shares(probabilities_mn: Doubles, rounds: int = 100) -> Doubles:
    """The shares of models in a mean that make a text likeliest (M,), by expectation maximisation.

    Source: Dempster et al., "Maximum likelihood from incomplete data via the EM algorithm", 1977, for mixtures.

    Args:
        probabilities_mn: what each model gives to each token of the text (M, N); tokens that none knows say nothing.
    """
    known_mn = probabilities_mn[:, probabilities_mn.any(axis=0)]
    share_m = np.full(len(known_mn), 1 / len(known_mn))
    for _ in range(rounds if known_mn.size else 0):
        weighed_mn = share_m[:, None] * known_mn
        share_m = (weighed_mn / weighed_mn.sum(axis=0)).mean(axis=1)
    return share_m


def probabilities(model: BackoffModel, corpus: Corpus) -> Doubles:
    """What a model gives to each token of a text and each end of a sentence (N,); 0 to words that it does not know."""
    number = {word: place for place, word in enumerate(model.vocabulary)}
    tokens = np.array([number.get(word, UNKNOWN) for word in corpus.vocabulary])[corpus.tokens]
    found: Doubles = 10.0 ** model.log10(tokens)
    found[tokens == UNKNOWN] = 0
    return found[tokens != BEGIN]


def perplexity(probability_n: Doubles) -> float:
    """Of what has a probability; infinite where nothing has."""
    known_n = probability_n[probability_n > 0]
    return float(np.exp(-np.log(known_n).mean())) if len(known_n) else float("inf")


def _with_backoff(level: Level, context: Rows, above: Doubles, same_below: Doubles) -> Level:
    """A level with its back-off weights, from the probabilities of what follows its n-grams, and of the same without
    their first words; n-grams that nothing follows have 1."""
    left, left_below = (1 - np.bincount(context, weights=of, minlength=len(level)) for of in (above, same_below))
    backoff = left.clip(_LEAST) / left_below.clip(_LEAST)
    backoff[np.bincount(context, minlength=len(level)) == 0] = 1
    return Level(level.word, level.context, level.suffix, level.log_prob, np.log10(backoff).astype(np.float32))


class _Part:
    """One of the models, order after order, as the whole numbers n-grams."""

    def __init__(self, model: BackoffModel, vocabulary: Sequence[str]) -> None:
        number = {word: row for row, word in enumerate(vocabulary)}
        self._model, self._size = model, len(vocabulary)
        self._words_v = np.array([number[word] for word in model.vocabulary])
        # Of its own n-grams of the last order.
        self._rows = np.zeros(1, np.int64)
        # Of the whole's n-grams of the last order.
        self._probability, self._backoff = np.zeros(1), np.ones(1)

    def keys(self, n: int) -> Rows:
        """The whole's (context, word) of its n-grams, as one number each; none above its order."""
        if n >= self._model.order:
            return np.empty(0, np.int64)
        level = self._model.levels[n]
        return self._rows[level.context] * self._size + self._words_v[level.word]

    def place(self, n: int, key: Rows, suffix: Rows) -> None:
        """Find its n-grams among the whole's, whose suffixes it tells where it knows them."""
        found = np.searchsorted(key, self.keys(n))
        if len(found):
            suffix[found] = self._rows[self._model.levels[n].suffix]
        self._rows = found

    def climb(self, n: int, context: Rows, suffix: Rows) -> Doubles:
        """The probabilities that it gives to all n-grams of the whole."""
        probability = self._backoff[context] * self._probability[suffix] if n else np.zeros(len(context))
        backoff = np.ones(len(context))
        if len(self._rows):
            level = self._model.levels[n]
            probability[self._rows], backoff[self._rows] = 10.0**level.log_prob, 10.0**level.log_backoff
        self._probability, self._backoff = probability, backoff
        return probability
