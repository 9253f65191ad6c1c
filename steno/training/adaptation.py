"""A model folder that learns words from its user's text: n-grams, pronunciations and neural language model."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from steno.errors import LanguageModelError, MissingExtraError, ModelError
from steno.export.language_model import write_language_model
from steno.lm.corpus import BEGIN, END, SPECIALS, Corpus, Progress, check_spelling, file_name, read_corpus
from steno.lm.counts import count_grams
from steno.lm.files import open_lm, read_model, write_model
from steno.lm.interpolate import best_shares, interpolate, perplexity, probabilities
from steno.lm.kneser_ney import estimate
from steno.lm.model import BackoffModel
from steno.lm.score import score_texts, summed
from steno.phonemes import Pronunciations, Spelling
from steno.runtime.folder import DecodingFiles, FolderConfig, digest, read_config, verified, with_decoding
from steno.runtime.neural_lm import NeuralLM
from steno.training.language_model import BLOCK, LanguageModelPlan, LanguageModelTraining

HELD_OUT = 10
"""One sentence of so many is held out, and says how much the text weighs."""
_LEAST_SENTENCES = 50
_MOST_SHARE = 0.9
"""Of the text's own n-grams: a text that knows all of itself knows little else."""
_PIECES_A_WORD = 1.5
_LEAST_BLOCKS, _LEAST_BATCH, _STEPS_A_PASS = 8, 4, 16
"""Blocks of text without which the neural language model stays as it is; blocks a step, and about how many steps."""


@dataclass(frozen=True)
class AdaptationPlan:
    """How much a text is to weigh.

    Args:
        share: of its own n-grams, 0 to 1; None is what makes the held-out sentences likeliest.
        epochs: passes of the neural language model through the text; 0 leaves it as it is.
        lr: its peak learning rate.
        seed: of the order.
    """

    share: float | None = None
    epochs: float = 6.0
    lr: float = 0.0003
    seed: int = 1


@dataclass(frozen=True)
class Adapted:
    """What came of it. Perplexities are those of the held-out sentences, a word, before and after.

    Args:
        sentences, words: of the text.
        new_words: that the n-grams did not know, the most frequent first.
        unspellable: words that the alphabet cannot spell, which are never written.
        unpronounced: new words whose sounds are unknown; None where the model does not ask for sounds.
        share: of the text's own n-grams.
        ngrams: perplexities, without words that were not known before.
        unknown: shares of words that are not known, before and after.
        neural: perplexities; None where there is no such model, or no text for it.
        kept_neural: whether the neural one that was trained on is in the folder.
    """

    sentences: int
    words: int
    new_words: tuple[str, ...]
    unspellable: tuple[str, ...]
    unpronounced: tuple[str, ...] | None
    share: float
    ngrams: tuple[float, float]
    unknown: tuple[float, float]
    neural: tuple[float, float] | None
    kept_neural: bool


def adapt(
    folder: Path,
    texts: Sequence[Path],
    target: Path,
    plan: AdaptationPlan,
    *,
    lexicon: Mapping[str, Spelling] | None = None,
    progress: Progress = lambda what, part: None,
) -> Adapted:
    """Give a copy of a model folder the words of a text, and what it says of them.

    The n-grams of the text and those of the folder become one model (:func:`steno.lm.interpolate.interpolate`); new
    words get their sounds from espeak-ng; the neural language model is trained on, and stays as it was where that does
    not help. Weights and calibrations stay.

    Args:
        folder: a model folder with a language model of words.
        texts: see :func:`steno.lm.corpus.read_corpus`.
        target: where the copy goes; nothing may be there.
        lexicon: sounds of words that espeak-ng is not asked about.

    Raises:
        LanguageModelError: a text cannot be used, or the folder's n-grams cannot be read back.
        ModelError: the folder has no language model of words, or a file of it was changed.
        StenoError: espeak-ng does not know the model's voice.
    """
    config = read_config(folder)
    tokenizer = config.tokenizer.build()
    general_file = _language_model(folder, config)
    corpus = read_corpus(texts, "words", tokenizer.alphabet, progress=progress)
    own_words = corpus.vocabulary[len(SPECIALS) :]
    check_spelling(", ".join(map(file_name, texts)), own_words, "words", tokenizer.alphabet)
    if corpus.sentences < _LEAST_SENTENCES:
        raise LanguageModelError(
            f"{', '.join(map(file_name, texts))}: {corpus.sentences} lines of text are too few to learn from",
            f"Give {_LEAST_SENTENCES} or more, a sentence a line; single words and names are --hotwords.",
        )
    progress("reading the model's n-grams", 0.0)
    general = read_model(general_file)
    rest, held = _parted(corpus)
    weighed = _weighed(general, rest, held, plan.share)
    progress("joining n-grams", 0.5)
    mixed = interpolate([general, _model(corpus, general.order)], [1 - weighed.share, weighed.share])
    known, letters = set(general.vocabulary), set(tokenizer.alphabet)
    unspellable = tuple(word for word in own_words if not letters.issuperset(word))
    new = tuple(word for word in own_words if word not in known and word not in unspellable)
    pronunciations = _pronunciations(folder, config)
    if pronunciations is not None:
        progress("pronouncing", 0.0)
        _pronounce(pronunciations, new, lexicon or {})
    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        lm = Path(scratch, "lm.bin")
        write_model(mixed, lm, compact=True)
        neural = _Neural.of(folder, config, rest, held, plan, Path(scratch), progress)
        adapted = Adapted(
            sentences=corpus.sentences,
            words=corpus.words,
            new_words=new,
            unspellable=unspellable,
            unpronounced=None if pronunciations is None else _silent(pronunciations, new),
            **weighed._asdict(),
            neural=None if neural is None else (neural.before, neural.after),
            kept_neural=neural is not None and neural.helps,
        )
        files = DecodingFiles(
            lm,
            None if pronunciations is None else pronunciations.spellings(),
            neural.file if neural is not None and neural.helps else None,
        )
        decoding = config.decoding.model_copy(update={"lm": lm.name})
        measured = {**config.provenance.get("decoding", {}), "adapted": _about(texts, adapted, plan)}
        with_decoding(folder, target, decoding, files, measured, _told(texts, adapted), "Adapted to a text")
    return adapted


def _language_model(folder: Path, config: FolderConfig) -> Path:
    """The file of the folder's n-grams.

    Raises:
        ModelError: there is none, or it is of characters.
    """
    name = config.decoding.lm
    if name is None:
        raise ModelError(
            f"{folder}: has no language model that could learn",
            "Give it one first: steno lm build TEXT -o lm.bin --compact; steno lm tune MODEL --lm lm.bin --data DEV",
        )
    file = verified(folder, config, name)
    if open_lm(file).units != "words":
        raise ModelError(f"{file}: is a language model of characters", "Only words can be learnt from a text.")
    return file


def _parted(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """The text without the sentences that are held out, and these; numbers of words as they are."""
    sentence_n = np.cumsum(corpus.tokens == BEGIN) - 1
    held_n = sentence_n % HELD_OUT == HELD_OUT - 1
    held = corpus.sentences // HELD_OUT
    return (
        replace(corpus, tokens=corpus.tokens[~held_n], sentences=corpus.sentences - held),
        replace(corpus, tokens=corpus.tokens[held_n], sentences=held),
    )


def _model(corpus: Corpus, order: int) -> BackoffModel:
    return estimate(corpus.vocabulary, list(count_grams(corpus, order)))[0]


class _Weighed(NamedTuple):
    share: float
    ngrams: tuple[float, float]
    unknown: tuple[float, float]


def _weighed(general: BackoffModel, rest: Corpus, held: Corpus, share: float | None) -> _Weighed:
    """The share of the text's own n-grams, and what the held-out sentences say without and with them."""
    by_general_n, by_own_n = probabilities(general, held), probabilities(_model(rest, general.order), held)
    met = np.bincount(rest.tokens, minlength=len(rest.vocabulary)) > 0
    by_own_n[~met[held.tokens[held.tokens != BEGIN]]] = 0  # words that only the held-out sentences have
    if share is None:
        share = min(_MOST_SHARE, float(best_shares(np.stack([by_general_n, by_own_n]))[1]))
    by_both_n, known_n = (1 - share) * by_general_n + share * by_own_n, by_general_n > 0
    return _Weighed(
        share,
        (perplexity(by_general_n[known_n]), perplexity(by_both_n[known_n])),
        (float((~known_n).mean()), float((by_both_n == 0).mean())),
    )


def _pronunciations(folder: Path, config: FolderConfig) -> Pronunciations | None:
    """What words sound like; None where the model does not ask."""
    name, phonemes = config.decoding.pronunciations, config.phonemes
    if name is None or phonemes is None:
        return None
    return Pronunciations(verified(folder, config, name), phonemes.symbols, phonemes.voice)


def _pronounce(pronunciations: Pronunciations, words: Sequence[str], lexicon: Mapping[str, Spelling]) -> None:
    """Learn what words sound like, from the user's lexicon and from espeak-ng, where it is installed."""
    pronunciations.add(lexicon)
    with suppress(MissingExtraError):
        pronunciations.learn(words)


def _silent(pronunciations: Pronunciations, words: Sequence[str]) -> tuple[str, ...]:
    """Words that phonemes cannot find."""
    return tuple(word for word in words if pronunciations.spelled([word]) is None)


@dataclass(frozen=True)
class _Neural:
    """A neural language model that was trained on, and the held-out sentences' perplexities before and after."""

    file: Path
    before: float
    after: float

    @property
    def helps(self) -> bool:
        return self.after < self.before

    @classmethod
    def of(
        cls,
        folder: Path,
        config: FolderConfig,
        rest: Corpus,
        held: Corpus,
        plan: AdaptationPlan,
        scratch: Path,
        progress: Progress,
    ) -> Self | None:
        """The folder's own, trained on; None where there is none or nothing to train it on."""
        name = config.decoding.neural_lm
        blocks = int(rest.words * _PIECES_A_WORD) // BLOCK
        if name is None or not plan.epochs or blocks < _LEAST_BLOCKS:
            return None
        text, dev = scratch / "rest.txt", scratch / "held.txt"
        _write(rest, text)
        _write(held, dev)
        start = verified(folder, config, name)
        alphabet = config.tokenizer.build().alphabet
        training = LanguageModelTraining(
            [text],
            alphabet,
            LanguageModelPlan(
                start=start,
                epochs=plan.epochs,
                batch=max(_LEAST_BATCH, min(32, blocks // _STEPS_A_PASS)),
                lr=plan.lr,
                seed=plan.seed,
            ),
            dev=dev,
        )
        trained = training.fit(lambda report: progress("training the neural one", report.step / report.steps))
        file = scratch / "neural-lm.onnx"
        opened = NeuralLM(start)
        about = {
            **opened.about,
            "adapted": {key: trained.about[key] for key in ("words", "epochs", "batch", "lr", "seed")},
        }
        before = _perplexity(opened, dev, alphabet)
        try:
            write_language_model(trained.model, trained.tokenizer, file, about)
        except ModelError:  # in 8 bits it does not say what it learnt
            return cls(start, before, before)
        return cls(file, before, _perplexity(NeuralLM(file), dev, alphabet))


def _perplexity(model: NeuralLM, text: Path, alphabet: str) -> float:
    return summed(score_texts(model.log_likelihoods, [text], alphabet), with_ends=False).perplexity_of_known


def _write(corpus: Corpus, path: Path) -> None:
    """Its sentences, one a line."""
    lines, line = [], list[str]()
    for token in corpus.tokens.tolist():
        if token == END:
            lines.append(" ".join(line) + "\n")
            line = []
        elif token != BEGIN:
            line.append(corpus.vocabulary[token])
    path.write_text("".join(lines), encoding="utf-8")


def _about(texts: Sequence[Path], adapted: Adapted, plan: AdaptationPlan) -> dict[str, Any]:
    """For the provenance."""
    found = asdict(adapted) | {"new_words": len(adapted.new_words)}
    for listed in ("unspellable", "unpronounced"):
        found[listed] = len(found[listed] or ())
    files = [{"file": file_name(text), "digest": digest(text)} for text in texts if text.is_file()]
    return {"texts": files, "epochs": plan.epochs, "lr": plan.lr, "seed": plan.seed, **found}


def _told(texts: Sequence[Path], adapted: Adapted) -> str:
    """For the card."""
    neural = ""
    if adapted.neural is not None and adapted.kept_neural:
        before, after = adapted.neural
        neural = f" The neural language model was trained on: {before:.1f} before, {after:.1f} now."
    before, after = adapted.ngrams
    return (
        f"The n-grams have {adapted.share:.0%} of {', '.join(map(file_name, texts))} ({adapted.sentences:,} sentences, "
        f"{adapted.words:,} words, {len(adapted.new_words):,} of them new). On every tenth sentence, held out, "
        f"their perplexity was {before:.1f} and is {after:.1f}.{neural} No error rate was measured since: the "
        "figures above are without the text."
    )
