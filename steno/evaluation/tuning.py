"""Weights of a language model found on a dev set, and confidences calibrated there."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np

from steno.decoding.beam import BeamDecoder
from steno.decoding.build import Decoder
from steno.decoding.config import CalibrationConfig, DecodingConfig
from steno.decoding.greedy import GreedyDecoder
from steno.decoding.path import Emission
from steno.decoding.second_pass import NBest, TextScorer
from steno.decoding.transcript import Transcript
from steno.decoding.words import transcript
from steno.evaluation.alignment import align
from steno.evaluation.emissions import Emissions
from steno.evaluation.score import Scores, score
from steno.evaluation.wer import word_errors
from steno.phonemes import Pronunciations
from steno.runtime import Recognizer
from steno.text import words

Search = Literal["bayes", "grid"]


class Weights(NamedTuple):
    """What is tuned, named as in :class:`DecodingConfig`."""

    lm_weight: float
    word_score: float
    prior_weight: float


_GRID = ((0.2, 0.4, 0.6, 0.8, 1.0, 1.3), (-1.0, 0.0, 1.0, 2.0, 3.0), (0.0, 0.3, 0.6))
_BOUNDS = {"lm_weight": (0.0, 2.0), "word_score": (-3.0, 5.0), "prior_weight": (0.0, 1.0)}
_STARTS = (Weights(0.5, 0.5, 0.0), Weights(0.5, 0.5, 0.5), Weights(1.0, 0.5, 0.7))
_USUAL_SHARE = 0.6
"""Of the phonemes, while the other weights are looked for."""
_PHONEME_SHARES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_NEURAL_WEIGHTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2)
_NEURAL_SHARES = (0.25, 0.5, 0.75, 1.0)
_LEAST_SHARE = 1e-6
"""Of the frames, for a label that the model never writes."""


@dataclass(frozen=True)
class Trial:
    """The weights of one try, and the word error rate that they gave."""

    lm_weight: float
    word_score: float
    prior_weight: float
    wer: float


@dataclass(frozen=True)
class Tuned:
    """What tuning found: settings with calibrations, the scores they give, greedy's, and every trial.

    ``shares`` are the word error rates with each share of the phonemes, ``neural`` those with each weight of the neural
    language model, the other weights of the second pass being the best for it; empty where there are none.
    """

    config: DecodingConfig
    scores: Scores
    greedy: Scores
    trials: tuple[Trial, ...]
    shares: Mapping[float, float]
    neural: Mapping[float, float]


def tune(
    recognizer: Recognizer,
    emissions: Emissions,
    lm: Path,
    stored_as: str,
    *,
    beam: int = 50,
    trials: int = 30,
    search: Search = "bayes",
    seed: int = 1,
    pronunciations: Pronunciations | None = None,
    sound_words: int | None = None,
    neural: TextScorer | None = None,
    watch: Callable[[Trial], None] = lambda trial: None,
) -> Tuned:
    """Find the weights and the word score of the least word error rate.

    The labels' prior is how these emissions share their frames among the labels.

    Args:
        recognizer: its tokeniser and times.
        emissions: of the dev set.
        lm: the language model.
        stored_as: the name it gets in the model folder.
        beam: hypotheses kept after each frame.
        trials: how many ``bayes`` tries (a tree-structured Parzen estimator); ``grid`` tries all of its own.
        search: how weights are chosen.
        seed: of the choice.
        pronunciations: what words sound like: weights are then found with a second pass, whose share is found last.
        sound_words: how many of them, the likeliest, phonemes can find; all if it is None.
        neural: a neural language model for the second pass, whose weights are found last. The settings that are found
            do not name its file.
        watch: is told of each trial.

    Raises:
        LanguageModelError: the language model cannot be read, or does not fit the alphabet.
    """
    letters = len(recognizer.tokenizer)
    start = DecodingConfig(
        method="beam", beam=beam, lm=stored_as, label_prior=label_prior(emissions.log_probs[:, :letters])
    )
    if pronunciations is not None:
        prior = label_prior(emissions.log_probs[:, letters:])
        start = start.model_copy(
            update={
                "phoneme_share": _USUAL_SHARE,
                "phoneme_prior": prior,
                "sound_words": sound_words or len(pronunciations),
            }
        )
    decoder = BeamDecoder(recognizer.tokenizer, start, lm, pronunciations=pronunciations, neural=neural)
    tried: dict[Weights, Trial] = {}

    def rate(*asked: float) -> float:
        weights = Weights(*(round(one, 3) for one in asked))
        if weights not in tried:
            chosen = decoder.reweighted(start.model_copy(update=weights._asdict()))
            tried[weights] = Trial(*weights, _scores(_transcripts(recognizer, chosen, emissions), emissions).wer)
            watch(tried[weights])
        return tried[weights].wer

    if search == "grid":
        for point in product(*_GRID):
            rate(*point)
    else:
        _bayes(rate, trials, seed)
    best = min(tried, key=lambda weights: tried[weights].wer)
    config = start.model_copy(update=best._asdict())
    shares: dict[float, float] = {}
    by_weight: dict[float, float] = {}
    if pronunciations is not None or neural is not None:
        asked = config.model_copy(update={"neural_weight": float(neural is not None)})
        second = _SecondPasses.of(decoder.reweighted(asked), emissions)
        config, rates = second.best(config, pronunciations is not None, neural is not None)
        if not config.phoneme_share:
            config = config.model_copy(update={"sound_words": 0, "phoneme_prior": ()})
        shares = _least(rates, lambda tried: tried.phoneme_share) if pronunciations is not None else {}
        by_weight = _least(rates, lambda tried: tried.neural_weight) if neural is not None else {}
    chosen = decoder.reweighted(config)
    heard = {
        "greedy": _transcripts(recognizer, GreedyDecoder(len(recognizer.tokenizer)), emissions),
        "beam": _transcripts(recognizer, chosen, emissions),
    }
    calibrations = {method: calibrate(_judged(found, emissions)) for method, found in heard.items()}
    return Tuned(
        config.model_copy(update={"calibration": {key: value for key, value in calibrations.items() if value}}),
        _scores(heard["beam"], emissions),
        _scores(heard["greedy"], emissions),
        tuple(tried.values()),
        shares,
        by_weight,
    )


class _Counted(NamedTuple):
    """The n-best list of an utterance, and the word errors of each hypothesis."""

    nbest: NBest
    errors: list[int]


@dataclass(frozen=True)
class _SecondPasses:
    """The n-best lists that the second pass chooses from, once for all of its weights."""

    counted: list[_Counted]
    words: int

    @classmethod
    def of(cls, decoder: BeamDecoder, emissions: Emissions) -> Self:
        counted: list[_Counted] = []
        for reference, part_tv in zip(emissions.references, emissions, strict=True):
            if len(part_tv):
                nbest = decoder.rescored(part_tv)
                counted.append(_Counted(nbest, [word_errors(reference, text).errors for text in nbest.texts]))
        return cls(counted, sum(len(words(reference)) for reference in emissions.references))

    def best(
        self, config: DecodingConfig, phonemes: bool, neural: bool
    ) -> tuple[DecodingConfig, list[tuple[DecodingConfig, float]]]:
        """The settings with the least word errors, and the rates of all that were tried."""
        tried = [
            config.model_copy(update={"phoneme_share": share, "neural_weight": weight, "neural_share": taken})
            for share in (_PHONEME_SHARES if phonemes else (0.0,))
            for weight in (_NEURAL_WEIGHTS if neural else (0.0,))
            for taken in (_NEURAL_SHARES if weight else (0.0,))
        ]
        rates = [(one, self._errors(one) / self.words) for one in tried]
        return min(rates, key=lambda rated: rated[1])[0], rates

    def _errors(self, config: DecodingConfig) -> int:
        return sum(one.errors[int(np.argmax(one.nbest.scores(config)))] for one in self.counted if one.errors)


def _least(
    rates: Iterable[tuple[DecodingConfig, float]], what: Callable[[DecodingConfig], float]
) -> dict[float, float]:
    """The least rate with each value of a setting."""
    least: dict[float, float] = {}
    for config, rate in rates:
        least[what(config)] = min(rate, least.get(what(config), math.inf))
    return least


def label_prior(log_probs_tv: Emission) -> tuple[float, ...]:
    """ln of each label's share of all frames (V,), of log-probabilities (T, V)."""
    share_v = np.exp(log_probs_tv.astype(np.float64)).mean(axis=0)
    return tuple(round(float(one), 4) for one in np.log(np.clip(share_v, _LEAST_SHARE, 1.0)))


def _bayes(rate: Callable[[float, float, float], float], trials: int, seed: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(10, trials)))
    for start in _STARTS:
        study.enqueue_trial(start._asdict())
    study.optimize(
        lambda trial: rate(*(trial.suggest_float(name, *bounds) for name, bounds in _BOUNDS.items())),
        n_trials=trials,
    )


def _transcripts(recognizer: Recognizer, decoder: Decoder, emissions: Emissions) -> list[Transcript]:
    tokens = recognizer.tokenizer.tokens
    return [transcript(decoder.decode(part_tv), part_tv, tokens, 1.0) for part_tv in emissions]


def _scores(heard: Sequence[Transcript], emissions: Emissions) -> Scores:
    return score(zip(emissions.ids, emissions.references, (one.text for one in heard), strict=True))


def _judged(heard: Sequence[Transcript], emissions: Emissions) -> list[tuple[float, bool]]:
    """Raw confidence of each word that was heard, and whether it is right."""
    judged: list[tuple[float, bool]] = []
    for reference, one in zip(emissions.references, heard, strict=True):
        pairs = align(words(reference), [word.text for word in one.words])
        said = [pair for pair in pairs if pair.hypothesis is not None]
        judged += [(word.confidence, pair.kind == "correct") for word, pair in zip(one.words, said, strict=True)]
    return judged


def calibrate(judged: Sequence[tuple[float, bool]], steps: int = 50) -> CalibrationConfig | None:
    """Logistic regression of being right on the raw confidence's log-odds, by Newton's method.

    None where it cannot be told: no words, or all of them right, or all wrong. Source: Platt, 1999, with his
    regularised targets.
    """
    right = sum(good for _, good in judged)
    wrong = len(judged) - right
    if not right or not wrong:
        return None
    raw = np.clip([confidence for confidence, _ in judged], 1e-6, 1 - 1e-6)
    odds = np.log(raw / (1 - raw))
    target = np.where([good for _, good in judged], (right + 1) / (right + 2), 1 / (wrong + 2))
    design = np.stack([odds, np.ones_like(odds)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (chance - target)
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-6 * np.eye(2)
        change = np.linalg.solve(curvature, gradient)
        weights -= np.clip(change, -2, 2)
        if np.abs(change).max() < 1e-8:
            break
    slope, offset = float(weights[0]), float(weights[1])
    if slope < 0:  # the raw score says nothing: the share of right words is all that is known
        slope, offset = 0.0, math.log(right / wrong)
    return CalibrationConfig(slope=round(slope, 5), offset=round(offset, 5))
