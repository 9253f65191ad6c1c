"""Beam search over CTC emissions, with an n-gram language model and hotwords, by flashlight-text.

Source: Collobert et al., "Wav2Letter", 2016, and Hannun et al., "First-Pass Large Vocabulary Continuous Speech
Recognition using Bi-Directional Recurrent DNNs", 2014.
"""

import math
from collections.abc import Sequence
from copy import copy
from pathlib import Path as File

import numpy as np
from flashlight.lib.text import decoder as fl
from flashlight.lib.text.dictionary import Dictionary

from steno.decoding.config import DecodingConfig
from steno.decoding.hotwords import Hotword, Node, PhraseGraph
from steno.decoding.path import Emission, Hypothesis, Path
from steno.decoding.second_pass import Readings, SecondPass, TextScorer
from steno.errors import DecodingError
from steno.lm import LanguageModelFile, open_lm
from steno.phonemes import Pronunciations
from steno.text import BLANK, WORD_START, Tokenizer

_LN10 = math.log(10)
_LEAST_WEIGHT = 1e-6
"""In place of 0, because gains of phrases are divided by the weight that flashlight multiplies them with."""

_NEVER = -1e4
"""Log-probability of what cannot be, finite because flashlight adds and compares it."""


class BeamDecoder:
    """Best readings by beam search.

    Args:
        tokenizer: labels of the emissions.
        config: widths and weights, and the prior of the labels.
        lm: an n-gram language model of words, which then are the vocabulary, or of characters; None for none.
        hotwords: phrases to prefer.
        nbest: most readings that are given.
        pronunciations: what words sound like, for the second pass of a model that writes phonemes too.
        neural: a neural language model, for the second pass.

    Raises:
        LanguageModelError: the language model cannot be read, or does not fit the alphabet.
        DecodingError: the prior is of other labels, or a second pass has no language model of words.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: DecodingConfig,
        lm: File | None = None,
        hotwords: Sequence[Hotword] = (),
        nbest: int = 1,
        pronunciations: Pronunciations | None = None,
        neural: TextScorer | None = None,
    ) -> None:
        self._tokenizer, self._pronunciations, self._neural = tokenizer, pronunciations, neural
        # Many readings differ in their paths alone.
        self._most = 1 if nbest == 1 else 8 * nbest
        tokens = tokenizer.tokens
        self._labels = len(tokens)
        self._space = tokens.index(" ") if " " in tokens else BLANK
        model = open_lm(lm) if lm is not None else None
        if model is not None:
            model.check_fits(tokenizer.alphabet)
        if model is not None and model.units == "words":
            self._close = self._space != BLANK
            self._search: _Lexicon | _Free = _Lexicon(tokenizer, model, hotwords, self._space)
        else:
            self._close = False
            self._search = _Free(tokenizer, model, hotwords, self._space)
        self._weigh(config)

    def reweighted(self, config: DecodingConfig) -> "BeamDecoder":
        """A decoder with other widths and weights over the same vocabulary and language model."""
        other = copy(self)
        other._weigh(config)
        return other

    def _weigh(self, config: DecodingConfig) -> None:
        # flashlight does not keep a language model that is written in Python alive.
        self._decoder, self._lm = self._search.decoder(config)
        self._often_v = _weighed_prior(config, self._labels)
        self._config = config
        sounds = self._pronunciations if config.phoneme_share else None
        neural = self._neural if config.neural_weight or config.neural_share else None
        self._second: SecondPass | None = None
        if sounds is not None or neural is not None:
            if not isinstance(self._search, _Lexicon):
                raise DecodingError(
                    "a second pass needs a language model of words", "Build one with steno lm build --units words."
                )
            self._second = SecondPass(self._tokenizer, config, self._search.log_likelihood, sounds, neural)

    def decode(self, emission_tv: Emission) -> list[Hypothesis]:
        """Readings of an emission (T, V) with different paths, best first."""
        if not len(emission_tv):
            return [Hypothesis(np.zeros(0, dtype=np.int64), 0.0)]
        return self._best(self._searched(emission_tv), emission_tv)

    def readings(self, emission_tv: Emission) -> Readings:
        """What a second pass compares, of an emission (T, V), T > 0.

        Raises:
            DecodingError: there is no second pass.
        """
        if self._second is None:
            raise DecodingError("no second pass is configured")
        return self._asked(self._second, self._searched(emission_tv), emission_tv)

    # ---- a stream --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Forget what was heard: a new utterance begins."""
        self._frames = 0
        self._decoder.decode_begin()

    def push(self, emission_tv: Emission) -> None:
        """Go on with more frames (T, V)."""
        if len(emission_tv):
            weighed_tv = np.ascontiguousarray(emission_tv[:, : self._labels] - self._often_v, dtype=np.float32)
            self._decoder.decode_step(weighed_tv.ctypes.data, *weighed_tv.shape)
            self._frames += len(emission_tv)

    def best(self) -> Hypothesis:
        """The best reading of the frames so far."""
        if not self._frames:
            return Hypothesis(np.zeros(0, dtype=np.int64), 0.0)
        result = self._decoder.get_best_hypothesis(0)
        return Hypothesis(_path(result, self._frames), result.score)

    def end(self, emission_tv: Emission) -> list[Hypothesis]:
        """The utterance is over: its readings, best first. ``emission_tv`` is all that was pushed, (T, V)."""
        if not self._frames:
            return [Hypothesis(np.zeros(0, dtype=np.int64), 0.0)]
        if self._close:
            last_tv = self._closed(np.zeros((0, self._labels), dtype=np.float32))
            self._decoder.decode_step(last_tv.ctypes.data, *last_tv.shape)
        self._decoder.decode_end()
        return self._best(self._decoder.get_all_final_hypothesis(), emission_tv)

    def _searched(self, emission_tv: Emission) -> "Sequence[fl.DecodeResult]":
        closed_tv = self._closed(emission_tv[:, : self._labels] - self._often_v)
        results: Sequence[fl.DecodeResult] = self._decoder.decode(closed_tv.ctypes.data, *closed_tv.shape)
        return results

    def _best(self, results: "Sequence[fl.DecodeResult]", emission_tv: Emission) -> list[Hypothesis]:
        """The best of these, after a second pass over all of them where there is one."""
        if self._second is None:
            return [Hypothesis(_path(result, len(emission_tv)), result.score) for result in results[: self._most]]
        return self._asked(self._second, results, emission_tv).ordered(self._config)[: self._most]

    def _asked(self, second: SecondPass, results: "Sequence[fl.DecodeResult]", emission_tv: Emission) -> Readings:
        found = [Hypothesis(_path(result, len(emission_tv)), result.score) for result in results]
        letters_tv, phonemes_tp = emission_tv[:, : self._labels] - self._often_v, emission_tv[:, self._labels :]
        return second.readings(found, letters_tv, phonemes_tp)

    def _closed(self, emission_tv: Emission) -> Emission:
        """The emission with a last frame of space, where words are spelled with the space that ends them."""
        if not self._close:
            return np.ascontiguousarray(emission_tv, dtype=np.float32)
        last_v = np.full((1, emission_tv.shape[1]), _NEVER, dtype=np.float32)
        last_v[0, [BLANK, self._space]] = 0.0
        return np.concatenate([emission_tv.astype(np.float32, copy=False), last_v])


def _weighed_prior(config: DecodingConfig, labels: int) -> Emission:
    """What is taken off the log-probabilities of each frame, (V,) or of any V where it is nothing."""
    if not config.prior_weight:
        return np.zeros(1, dtype=np.float32)
    if len(config.label_prior) != labels:
        raise DecodingError(
            f"label_prior has {len(config.label_prior)} entries, and the model writes {labels} labels",
            "Make it anew with steno lm tune.",
        )
    return np.float32(config.prior_weight) * np.asarray(config.label_prior, dtype=np.float32)


def _path(result: "fl.DecodeResult", frames: int) -> Path:
    """Labels (T,): flashlight puts a silence before the first frame."""
    return np.asarray(result.tokens[1 : frames + 1], dtype=np.int64)


class _Lexicon:
    """Words of a language model and of the hotwords, spelled in a trie."""

    def __init__(self, tokenizer: Tokenizer, model: LanguageModelFile, hotwords: Sequence[Hotword], space: int) -> None:
        alphabet = set(tokenizer.alphabet)
        known = [word for word in model.words() if alphabet.issuperset(word)]
        extra = {word for hotword in hotwords for word in hotword.phrase.split()} - set(known)
        vocabulary = known + sorted(extra)
        self._index = index = {word: number for number, word in enumerate(vocabulary)}
        self._labels, self._space, self._unknown = len(tokenizer), space, len(vocabulary)
        self._lm = model.kenlm(Dictionary(vocabulary))
        phrases = [([index[w] for w in h.phrase.split()], h.boost * len(h.phrase.split())) for h in hotwords]
        self._graph = PhraseGraph(phrases) if phrases else None
        self._trie = fl.Trie(self._labels, space)
        # What a word that has only begun is worth: its chance anywhere, not that of a sentence's first word.
        start = self._lm.start(True)
        ending = [space] if space != BLANK else []
        for number, word in enumerate(vocabulary):
            _, score = self._lm.score(start, number)
            self._trie.insert([*tokenizer.encode(word), *ending], number, score)
        self._trie.smear(fl.SmearingMode.MAX)

    def log_likelihood(self, words: Sequence[str]) -> float:
        """ln of the chance of words as a whole sentence, hotwords or not; a last word that is not whole is left out."""
        state, total = self._lm.start(False), 0.0
        for number in (self._index[word] for word in words if word in self._index):
            state, score = self._lm.score(state, number)
            total += score
        return _LN10 * (total + self._lm.finish(state)[1])

    def decoder(self, config: DecodingConfig) -> "tuple[fl.LexiconDecoder, fl.LM]":
        weight = max(config.lm_weight * _LN10, _LEAST_WEIGHT)
        options = fl.LexiconDecoderOptions(
            beam_size=config.beam,
            beam_size_token=min(config.beam_tokens, self._labels),
            beam_threshold=config.beam_threshold,
            lm_weight=weight,
            word_score=config.word_score,
            unk_score=-math.inf,
            sil_score=0.0,
            log_add=True,
            criterion_type=fl.CriterionType.CTC,
        )
        lm = _Boosted(self._lm, self._graph, weight) if self._graph else self._lm
        return fl.LexiconDecoder(options, self._trie, lm, self._space, BLANK, self._unknown, [], False), lm


class _Free:
    """Any sequence of tokens, with a language model of characters or with none."""

    def __init__(
        self, tokenizer: Tokenizer, model: LanguageModelFile | None, hotwords: Sequence[Hotword], space: int
    ) -> None:
        self._labels, self._space = len(tokenizer), space
        self._lm: fl.LM = fl.ZeroLM()
        self._weighted = model is not None
        if model is not None:
            if any(len(token) > 1 for token in tokenizer.tokens[1:]):
                raise DecodingError(
                    f"{model.path}: a language model of characters, and this model writes word pieces",
                    "Build one of words: steno lm build TEXT -o words.bin",
                )
            spelled = ["|" if token == " " else token for token in tokenizer.tokens]
            self._lm = model.kenlm(Dictionary(spelled))
        self._graph = _token_graph(tokenizer, hotwords) if hotwords else None

    def decoder(self, config: DecodingConfig) -> "tuple[fl.LexiconFreeDecoder, fl.LM]":
        if config.word_score and self._space == BLANK:
            raise DecodingError(
                "a word score needs words: this model writes word pieces, and there is no language model of words",
                "Leave --word-score out, or name such a language model with --lm.",
            )
        weight = max(config.lm_weight * _LN10, _LEAST_WEIGHT) if self._weighted else 1.0
        options = fl.LexiconFreeDecoderOptions(
            beam_size=config.beam,
            beam_size_token=min(config.beam_tokens, self._labels),
            beam_threshold=config.beam_threshold,
            lm_weight=weight,
            sil_score=config.word_score,
            log_add=True,
            criterion_type=fl.CriterionType.CTC,
        )
        lm = _Boosted(self._lm, self._graph, weight) if self._graph else self._lm
        return fl.LexiconFreeDecoder(options, lm, self._space, BLANK, []), lm


def _token_graph(tokenizer: Tokenizer, hotwords: Sequence[Hotword]) -> PhraseGraph:
    tokens = tokenizer.tokens

    def begins(before: int | None, symbol: int) -> bool:
        return before is None or tokens[before] == " " or tokens[symbol].startswith(WORD_START)

    def ends(symbol: int) -> bool:
        return tokens[symbol] == " " or tokens[symbol].startswith(WORD_START)

    return PhraseGraph(((tokenizer.encode(h.phrase), h.boost * len(h.phrase.split())) for h in hotwords), begins, ends)


class _Boosted(fl.LM):
    """A language model with the gains of phrases added to its scores."""

    def __init__(self, lm: "fl.LM", graph: PhraseGraph, weight: float) -> None:
        fl.LM.__init__(self)
        self._lm, self._graph, self._weight = lm, graph, weight
        self._states: dict[fl.LMState, tuple[fl.LMState, Node, int | None, float]] = {}

    def start(self, start_with_nothing: bool) -> "fl.LMState":
        self._states.clear()
        state = fl.LMState()
        self._states[state] = (self._lm.start(start_with_nothing), self._graph.root, None, 0.0)
        return state

    def score(self, state: "fl.LMState", symbol: int) -> "tuple[fl.LMState, float]":
        following = state.child(symbol)
        known = self._states.get(following)
        if known is None:
            inner, node, before, _ = self._states[state]
            inner, score = self._lm.score(inner, symbol)
            node, gain = self._graph.step(node, before, symbol)
            known = self._states[following] = (inner, node, symbol, score + gain / self._weight)
        return following, known[3]

    def finish(self, state: "fl.LMState") -> "tuple[fl.LMState, float]":
        inner, node, _, _ = self._states[state]
        _, score = self._lm.finish(inner)
        return state, score + self._graph.finish(node) / self._weight
