"""A model folder that gets a language model, with the weights that suit a dev set best."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steno.data.manifest import Manifest
from steno.decoding.config import DecodingConfig
from steno.errors import ModelError
from steno.evaluation.emissions import Emissions, emissions
from steno.evaluation.show import rate
from steno.evaluation.tuning import Search, Trial, Tuned, Weights, tune
from steno.lm import LanguageModelFile, open_lm
from steno.lm.overlap import LEAST_WORDS, contained
from steno.phonemes import PRONUNCIATIONS, PhonemeConfig, Pronunciations, Spelling, pronounce, read_lexicon
from steno.runtime import DecodingOptions, Recognizer
from steno.runtime.folder import NEURAL_LM, DecodingFiles, with_decoding
from steno.runtime.neural_lm import NeuralLM
from steno.text import normalize

MOST_CONTAINED = 0.1
"""Of the dev set's longer utterances, that a language model may hold n-gram for n-gram.

Measured with 648 utterances of dev-clean, 534 of which have ten words: models of other text (62,000 words of
train-clean-100's transcripts, 8 million words of novels; trigrams and 4-grams) hold at most 2 of them, and models of
the former with dev-clean's transcripts added all 534 (trigrams), 508 (4-grams) or 430 (4-grams in 8 bits). Models that
leave out what occurs once hold none: there a text that was added once hardly weighs.
"""


@dataclass(frozen=True)
class TuningPlan:
    """What is weighed, and how the weights are looked for.

    Args:
        lm: n-grams that ``steno lm build`` wrote.
        neural: a neural language model, for the second pass.
        lexicon: the user's own pronunciations, see :func:`steno.phonemes.read_lexicon`.
        beam, trials, search, sound_words, seed: see :func:`steno.evaluation.tuning.tune`.
        limit: only so many utterances, spread over the dev set.
    """

    lm: Path
    neural: Path | None = None
    lexicon: Path | None = None
    beam: int = 50
    trials: int = 30
    search: Search = "bayes"
    sound_words: int | None = None
    limit: int | None = None
    seed: int = 1


def tune_folder(
    folder: Path,
    target: Path,
    data: Manifest,
    plan: TuningPlan,
    *,
    tell: Callable[[str], None] = lambda line: None,
    progress: Callable[[str], None] = lambda what: None,
    watch: Callable[[Trial], None] = lambda trial: None,
) -> Tuned:
    """Find a language model's weights on a dev set, calibrate confidences there, and keep both in a model folder.

    Args:
        folder: a model folder.
        target: where the result goes: a new copy, or the folder itself.
        data: the dev set.
        tell: is told what was left out, and of a dev set that the language model knows.
        progress: is told what is being done.
        watch: is told of each trial.

    Raises:
        LanguageModelError: a language model cannot be read, or does not fit the alphabet.
        ManifestError: nothing of the dev set can be decoded.
        ModelError: the lexicon or the neural language model has nothing to do.
    """
    recognizer = Recognizer(folder, decoding=DecodingOptions(method="greedy"))
    language = open_lm(plan.lm)
    phonemes = recognizer.config.phonemes if language.units == "words" else None
    lexicon = {} if plan.lexicon is None else _lexicon(plan.lexicon, phonemes)
    neural = None if plan.neural is None else _neural(plan.neural, language, recognizer.tokenizer.alphabet)
    progress("emissions of the dev set")
    found = emissions(recognizer, folder, data, plan.limit)
    for identity, reason in found.left_out.items():
        tell(f"left out    {identity}: {reason}")
    _warn_of_contained(language, found, recognizer.tokenizer.alphabet, tell)
    progress("weights")
    pronounced = None if phonemes is None else _pronounced(language, lexicon, phonemes, tell)
    tuned = tune(
        recognizer,
        found,
        plan.lm,
        "lm" + "".join(plan.lm.suffixes[-2:] if plan.lm.suffix == ".gz" else plan.lm.suffixes[-1:]),
        beam=plan.beam,
        trials=plan.trials,
        search=plan.search,
        seed=plan.seed,
        pronunciations=None
        if phonemes is None or pronounced is None
        else Pronunciations(pronounced, phonemes.symbols, phonemes.voice),
        sound_words=plan.sound_words,
        neural=neural,
        watch=watch,
    )
    tuned = replace(tuned, config=_with_files(tuned.config))
    measured: dict[str, Any] = {
        "manifest": str(data.path),
        "digest": data.digest,
        "utterances": len(found),
        "trials": len(tuned.trials),
        "greedy_wer": round(tuned.greedy.wer, 5),
        "wer": round(tuned.scores.wer, 5),
    }
    if plan.lexicon is not None:
        measured |= {"lexicon": str(plan.lexicon), "lexicon_words": len(lexicon.keys() & language.words())}
    if tuned.config.neural_weight and neural is not None:
        measured["neural_lm"] = {"file": str(plan.neural), **neural.about}
    files = DecodingFiles(plan.lm, pronounced, plan.neural)
    with_decoding(folder, target, tuned.config, files, measured, _told(tuned, plan.lm, data, len(found)))
    return tuned


def _lexicon(path: Path, phonemes: PhonemeConfig | None) -> dict[str, Spelling]:
    if phonemes is None:
        raise ModelError(
            f"{path}: nothing to pronounce", "A lexicon needs a model with phonemes and a language model of words."
        )
    return read_lexicon(path, phonemes.symbols)


def _neural(path: Path, language: LanguageModelFile, alphabet: str) -> NeuralLM:
    if language.units != "words":
        raise ModelError(f"{path}: goes with n-grams of words", f"{language.path} has characters.")
    neural = NeuralLM(path)
    neural.check_fits(alphabet)
    return neural


def _warn_of_contained(
    language: LanguageModelFile, found: Emissions, alphabet: str, tell: Callable[[str], None]
) -> None:
    """Say so where the dev set's transcripts are in the language model's text."""
    held = contained(language, (normalize(reference, alphabet).split() for reference in found.references))
    if held and held[0] > MOST_CONTAINED * held[1]:
        tell(
            f"warning: {language.path} holds {held[0]} of the {held[1]} dev utterances of {LEAST_WORDS} words or more, "
            "n-gram for n-gram: where its text has their transcripts, its weight will be too great for speech that it "
            "does not know. Build it from text without them."
        )


def _pronounced(
    language: LanguageModelFile, lexicon: Mapping[str, Spelling], phonemes: PhonemeConfig, tell: Callable[[str], None]
) -> dict[str, Spelling]:
    """What the language model's words sound like, by the lexicon or else by espeak-ng."""
    spoken = set(language.words())
    if strangers := sorted(lexicon.keys() - spoken):
        tell(f"left out    not in the language model: {', '.join(strangers)}")
    own = {word: heard for word, heard in lexicon.items() if word in spoken}
    return pronounce(spoken - own.keys(), phonemes.voice) | own


def _with_files(config: DecodingConfig) -> DecodingConfig:
    """The settings with the names of the files that they need."""
    if config.phoneme_share:
        config = config.model_copy(update={"pronunciations": PRONUNCIATIONS})
    if config.neural_weight:
        config = config.model_copy(update={"neural_lm": NEURAL_LM})
    return config


def _told(tuned: Tuned, lm: Path, data: Manifest, utterances: int) -> str:
    """For the card."""
    config, second = tuned.config, second_pass(tuned.config)
    return (
        f"Beam search keeps {config.beam} hypotheses and weighs the language model `{config.lm}` ({lm.name}) with "
        f"{config.lm_weight:g}, words with {config.word_score:g}, and the labels' prior with {config.prior_weight:g}. "
        f"{f'Then {second}. ' if second else ''}"
        "The weights and the confidences were tuned on "
        f"`{data.path}` ({utterances} utterances, digest {data.digest}): there the WER is "
        f"{rate(tuned.scores.wer, tuned.scores.wer_interval())}, greedy "
        f"{rate(tuned.greedy.wer, tuned.greedy.wer_interval())}. The figures above are greedy decoding's."
    )


def second_pass(config: DecodingConfig) -> str:
    """What changes the scores of beam search's hypotheses, in words; empty where nothing does."""
    told = []
    if config.phoneme_share:
        told.append(f"phonemes find hypotheses, too, and give {config.phoneme_share:.0%} of the acoustic score of each")
    if config.neural_weight:
        told.append(
            f"a neural language model is weighed with {config.neural_weight:g}, and takes {config.neural_share:.0%} of "
            "what the language model gave"
        )
    return ", and ".join(told)


def weights(found: Trial | DecodingConfig) -> str:
    """What was tuned, in words."""
    return ", ".join(f"{name} {getattr(found, name):g}" for name in Weights._fields)


def surface(trials: tuple[Trial, ...]) -> str:
    """A table of the least word error rate that was found with each weight and word score."""
    columns = sorted({_cell(trial.word_score, 1.0) for trial in trials})
    lines = ["dev WER, the best of each cell (rows: lm_weight, columns: word_score)"]
    lines.append("        " + "".join(f"{score:8.1f}" for score in columns))
    for weight in sorted({_cell(trial.lm_weight, 0.25) for trial in trials}):
        row = f"{weight:8.2f}"
        for score in columns:
            here = [t.wer for t in trials if (_cell(t.lm_weight, 0.25), _cell(t.word_score, 1.0)) == (weight, score)]
            row += f"{min(here):8.1%}" if here else "       –"
        lines.append(row)
    return "\n".join(lines)


def _cell(value: float, width: float) -> float:
    return round(value / width) * width
