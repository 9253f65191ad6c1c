"""Beam search over CTC emissions, with an n-gram language model and hotwords, by flashlight-text.

Source: Collobert et al., "Wav2Letter", 2016, and Hannun et al., "First-Pass Large Vocabulary Continuous Speech
Recognition using Bi-Directional Recurrent DNNs", 2014.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path as File

import numpy as np
from flashlight.lib.text import decoder as fl
from flashlight.lib.text.dictionary import Dictionary

from steno.decoding.align import forced_alignment
from steno.decoding.config import DecodingConfig
from steno.decoding.greedy import collapse
from steno.decoding.hotwords import Hotword, Node, PhraseGraph
from steno.decoding.path import Emission, Hypothesis, Path
from steno.decoding.second_pass import NBest, SecondPass, TextScorer
from steno.errors import DecodingError
from steno.lm import LanguageModelFile, open_lm
from steno.phonemes import Pronunciations
from steno.text import BLANK, WORD_START, Tokenizer

_LN10 = math.log(10)
_LEAST_WEIGHT = 1e-6
"""In place of 0, because gains of phrases are divided by the weight that flashlight multiplies them with."""

_HOMOPHONES = 6
"""Words of one sound that are found, as many as flashlight keeps."""
_SOUND_TOKENS = 12
"""Phonemes of a frame that are tried: more cost time and find nothing."""
_SOUND_THRESHOLD = 12.0
"""As ``beam_threshold``, for phonemes: what is further behind costs time and finds nothing."""

_NEVER = -1e4
"""Log-probability of what cannot be, finite because flashlight adds and compares it."""


class BeamDecoder:
    """Best hypotheses by beam search.

    Args:
        tokenizer: labels of the emissions.
        config: widths and weights, and the priors of the labels.
        lm: an n-gram language model of words, which then are the vocabulary, or of characters; None for none.
        hotwords: phrases to prefer.
        nbest: most hypotheses that are given.
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
        self._nbest = nbest
        # Many hypotheses of beam search differ in their paths alone.
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
        self._often_v = _weighed(config.label_prior, config.prior_weight, self._labels, "label_prior")
        self._config = config
        sounds = self._pronunciations if config.phoneme_share else None
        neural = self._neural if config.neural_weight or config.neural_share else None
        self._second: SecondPass | None = None
        if sounds is not None or neural is not None:
            if not isinstance(self._search, _Lexicon):
                raise DecodingError(
                    "a second pass needs a language model of words", "Build one with steno lm build --units words."
                )
            phoneme_search = None
            if sounds is not None:
                prior = config.phoneme_prior
                self._often_p = _weighed(prior, config.prior_weight if prior else 0, sounds.labels, "phoneme_prior")
                phoneme_search = self._search.phoneme_search(config, sounds) if config.sound_words else None
            self._second = SecondPass(self._tokenizer, config, self._search, sounds, phoneme_search, neural)

    def decode(self, emission_tv: Emission) -> list[Hypothesis]:
        """Hypotheses of an emission (T, V) with different paths, best first."""
        if not len(emission_tv):
            return [Hypothesis(np.zeros(0, dtype=np.int64), 0.0)]
        return self._best(self._searched(emission_tv), emission_tv)

    def rescored(self, emission_tv: Emission) -> NBest:
        """The n-best list that a second pass chooses from, of an emission (T, V), T > 0.

        Raises:
            DecodingError: there is no second pass.
        """
        if self._second is None:
            raise DecodingError("no second pass is configured")
        paths = self._paths(self._searched(emission_tv), len(emission_tv))
        return self._rescored(self._second, list(paths), emission_tv)

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
        """The best hypothesis of the frames so far."""
        if not self._frames:
            return Hypothesis(np.zeros(0, dtype=np.int64), 0.0)
        result = self._decoder.get_best_hypothesis(0)
        return Hypothesis(_path(result, self._frames), result.score)

    def end(self, emission_tv: Emission) -> list[Hypothesis]:
        """The utterance is over: its hypotheses, best first. ``emission_tv`` is all that was pushed, (T, V)."""
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
            return self._hypotheses(results[: self._most], emission_tv)
        paths = self._paths(results, len(emission_tv))
        best = self._rescored(self._second, list(paths), emission_tv).best(self._config, self._nbest)
        letters_tv = emission_tv[:, : self._labels] - self._often_v
        chosen = [Hypothesis(self._along(text, paths, letters_tv), score) for text, score in best]
        return chosen or self._hypotheses(results[:1], emission_tv)

    def _along(self, text: str, paths: Mapping[str, Path], letters_tv: Emission) -> Path:
        """The path of a hypothesis, which was found along it, or else the best one."""
        if text in paths:
            return paths[text]
        labels = self._tokenizer.encode(text)
        return forced_alignment(letters_tv, labels).path_t if labels else np.zeros(len(letters_tv), dtype=np.int64)

    def _paths(self, results: "Sequence[fl.DecodeResult]", frames: int) -> dict[str, Path]:
        """The texts of what was found, best first, of each the best path."""
        paths: dict[str, Path] = {}
        for result in results:
            path_t = _path(result, frames)
            paths.setdefault(" ".join(self._tokenizer.decode(collapse(path_t)).split()), path_t)
        return paths

    @staticmethod
    def _hypotheses(results: "Sequence[fl.DecodeResult]", emission_tv: Emission) -> list[Hypothesis]:
        return [Hypothesis(_path(result, len(emission_tv)), result.score) for result in results]

    def _rescored(self, second: SecondPass, texts: Sequence[str], emission_tv: Emission) -> NBest:
        letters_tv, phonemes_tp = emission_tv[:, : self._labels] - self._often_v, emission_tv[:, self._labels :]
        if second.pronunciations is not None:
            phonemes_tp = phonemes_tp - self._often_p
        return second.rescore(texts, letters_tv, phonemes_tp)

    def _closed(self, emission_tv: Emission) -> Emission:
        """The emission with a last frame of space, where words are spelled with the space that ends them."""
        if not self._close:
            return np.ascontiguousarray(emission_tv, dtype=np.float32)
        last_v = np.full((1, emission_tv.shape[1]), _NEVER, dtype=np.float32)
        last_v[0, [BLANK, self._space]] = 0.0
        return np.concatenate([emission_tv.astype(np.float32, copy=False), last_v])


def _weighed(prior: Sequence[float], weight: float, labels: int, name: str) -> Emission:
    """What is taken off the log-probabilities of each frame, (V,) or of any V where it is nothing."""
    if not weight:
        return np.zeros(1, dtype=np.float32)
    if len(prior) != labels:
        raise DecodingError(
            f"{name} has {len(prior)} entries, and the model writes {labels} labels",
            "Make it anew with steno lm tune.",
        )
    return np.float32(weight) * np.asarray(prior, dtype=np.float32)


def _path(result: "fl.DecodeResult", frames: int) -> Path:
    """Labels (T,): flashlight puts a silence before the first frame."""
    return np.asarray(result.tokens[1 : frames + 1], dtype=np.int64)


class _Lexicon:
    """Words of a language model and of the hotwords, spelled in a trie, and in another one by their sounds."""

    def __init__(self, tokenizer: Tokenizer, model: LanguageModelFile, hotwords: Sequence[Hotword], space: int) -> None:
        alphabet = set(tokenizer.alphabet)
        known = [word for word in model.words() if alphabet.issuperset(word)]
        extra = {word for hotword in hotwords for word in hotword.phrase.split()} - set(known)
        self._vocabulary = vocabulary = known + sorted(extra)
        self._index = index = {word: number for number, word in enumerate(vocabulary)}
        self._labels, self._space, self._unknown = len(tokenizer), space, len(vocabulary)
        self._lm = model.kenlm(Dictionary(vocabulary))
        phrases = [([index[w] for w in h.phrase.split()], h.boost * len(h.phrase.split())) for h in hotwords]
        self._graph = PhraseGraph(phrases) if phrases else None
        self._preferred = sorted({number for numbers, boost in phrases if boost > 0 for number in numbers})
        self._trie = fl.Trie(self._labels, space)
        # What a word that has only begun is worth: its chance anywhere, not that of a sentence's first word.
        start = self._lm.start(True)
        self._alone = [self._lm.score(start, number)[1] for number in range(len(vocabulary))]
        ending = [space] if space != BLANK else []
        for number, (word, score) in enumerate(zip(vocabulary, self._alone, strict=True)):
            self._trie.insert([*tokenizer.encode(word), *ending], number, score)
        self._trie.smear(fl.SmearingMode.MAX)
        self._sounds: tuple[int, fl.Trie] | None = None

    def log_likelihood(self, words: Sequence[str]) -> float:
        """ln of the chance of words as a whole sentence, hotwords or not; a last word that is not whole is left out."""
        state, total = self._lm.start(False), 0.0
        for number in self._numbers(words):
            state, score = self._lm.score(state, number)
            total += score
        return _LN10 * (total + self._lm.finish(state)[1])

    def gain(self, words: Sequence[str]) -> float:
        """What the hotwords among these words add."""
        return self._graph.gain(self._numbers(words)) if self._graph else 0.0

    def _numbers(self, words: Sequence[str]) -> list[int]:
        return [self._index[word] for word in words if word in self._index]

    def decoder(self, config: DecodingConfig) -> "tuple[fl.LexiconDecoder, fl.LM]":
        return self._decoder(config, self._trie, self._labels, self._space)

    def phoneme_search(self, config: DecodingConfig, sounds: Pronunciations) -> "Callable[[Emission], list[str]]":
        """A search by phonemes for the texts of log-probabilities (T, P), best first."""
        if self._sounds is None or self._sounds[0] != config.sound_words:
            self._sounds = config.sound_words, self._spelled_by_sound(sounds, config.sound_words)
        narrow = config.model_copy(
            update={
                "beam_tokens": min(config.beam_tokens, _SOUND_TOKENS),
                "beam_threshold": min(config.beam_threshold, _SOUND_THRESHOLD),
            }
        )
        decoder, lm = self._decoder(narrow, self._sounds[1], sounds.labels, BLANK)

        def search(phonemes_tp: Emission, lm: "fl.LM" = lm) -> list[str]:  # which nobody else keeps alive
            heard_tp = np.ascontiguousarray(phonemes_tp, dtype=np.float32)
            numbers = (
                [number for number in result.words if number >= 0]
                for result in decoder.decode(heard_tp.ctypes.data, *heard_tp.shape)
            )
            return list(dict.fromkeys(" ".join(self._vocabulary[number] for number in found) for found in numbers))

        return search

    def _spelled_by_sound(self, sounds: Pronunciations, most: int) -> "fl.Trie":
        likeliest = sorted(range(len(self._vocabulary)), key=self._alone.__getitem__, reverse=True)[:most]
        alike: dict[tuple[int, ...], list[int]] = {}
        for number in dict.fromkeys([*self._preferred, *likeliest]):
            spelled = sounds.spelled([self._vocabulary[number]])
            if spelled:
                alike.setdefault(tuple(spelled), []).append(number)
        trie = fl.Trie(sounds.labels, BLANK)
        for labels, numbers in alike.items():
            for number in numbers[:_HOMOPHONES]:
                trie.insert(labels, number, self._alone[number])
        trie.smear(fl.SmearingMode.MAX)
        return trie

    def _decoder(
        self, config: DecodingConfig, trie: "fl.Trie", labels: int, space: int
    ) -> "tuple[fl.LexiconDecoder, fl.LM]":
        weight = max(config.lm_weight * _LN10, _LEAST_WEIGHT)
        options = fl.LexiconDecoderOptions(
            beam_size=config.beam,
            beam_size_token=min(config.beam_tokens, labels),
            beam_threshold=config.beam_threshold,
            lm_weight=weight,
            word_score=config.word_score,
            unk_score=-math.inf,
            sil_score=0.0,
            log_add=True,
            criterion_type=fl.CriterionType.CTC,
        )
        lm = _Boosted(self._lm, self._graph, weight) if self._graph else self._lm
        return fl.LexiconDecoder(options, trie, lm, space, BLANK, self._unknown, [], False), lm


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
