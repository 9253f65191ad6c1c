"""A recogniser measured on a manifest."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from steno.data.manifest import Manifest, Utterance
from steno.decoding.config import DecodingConfig
from steno.decoding.transcript import Word
from steno.errors import ManifestError
from steno.evaluation.normalization import Normalization
from steno.evaluation.score import Scored, Scores, score
from steno.runtime import Recognizer
from steno.runtime.files import transcribe_files
from steno.text import words

NO_TEXT = "has no text"


@dataclass(frozen=True)
class LeftOut:
    """An utterance that was not scored, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Measured:
    """One utterance as it was scored; ``words`` as the decoder gave them, with times, or none."""

    utterance: Utterance
    scored: Scored
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What a recogniser made of a manifest.

    ``seconds`` is the wall time of reading and recognising, ``audio_seconds`` the audio that was scored;
    ``decoding`` says how emissions became text.
    """

    model: str
    data: Path
    digest: str
    normalization: Normalization
    measured: tuple[Measured, ...]
    left_out: tuple[LeftOut, ...]
    seconds: float
    audio_seconds: float
    decoding: str = "greedy"

    @cached_property
    def scores(self) -> Scores:
        """Error rates of everything that was scored."""
        return Scores(tuple(one.scored for one in self.measured))

    @property
    def speakers(self) -> list[str | None]:
        """The speaker of each scored utterance."""
        return [one.utterance.speaker for one in self.measured]

    @property
    def real_time_factor(self) -> float:
        """Wall time by audio time: 0.1 is ten times as fast as speech."""
        return self.seconds / self.audio_seconds

    def checked(self) -> "Evaluation":
        """Itself, if anything was scored.

        Raises:
            ManifestError: no utterance has text, or none could be decoded.
        """
        if self.measured:
            return self
        if all(entry.reason == NO_TEXT for entry in self.left_out):
            raise ManifestError(
                f"{self.data}: no utterance has text, so there is nothing to compare with",
                "Each line needs `text`, what is said in its recording. `steno transcribe` writes what a model hears.",
            )
        reasons = "\n  ".join(f"{entry.id}: {entry.reason}" for entry in self.left_out[:5])
        raise ManifestError(f"{self.data}: no utterance could be evaluated", reasons)


def evaluate(
    recognizer: Recognizer,
    manifest: Manifest,
    *,
    model: str = "",
    normalization: Normalization | None = None,
    watch: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Score every utterance that can be decoded and has text, and say which were left out.

    Args:
        recognizer: what is measured.
        manifest: utterances with text.
        model: what to call it.
        normalization: applied to reference and hypothesis; ``steno`` for the model's alphabet if None.
        watch: called after each utterance.
    """
    form = normalization or Normalization("steno", alphabet_of(recognizer))
    utterances, left_out = _with_text(manifest, form)
    measured, audio_seconds = [], 0.0
    start = time.perf_counter()
    results = transcribe_files(recognizer, (utterance.audio for utterance, _ in utterances))
    for (utterance, reference), result in zip(utterances, results, strict=True):
        watch()
        if result.transcript is None:
            left_out.append(LeftOut(utterance.id, result.error.message if result.error else "failed"))
            continue
        (scored,) = score([(utterance.id, reference, form.apply(result.transcript.text))]).utterances
        measured.append(Measured(utterance, scored, result.transcript.words))
        audio_seconds += result.seconds
    seconds = time.perf_counter() - start
    return Evaluation(
        model=model,
        data=manifest.path,
        digest=manifest.digest,
        normalization=form,
        measured=tuple(measured),
        left_out=tuple(left_out),
        seconds=seconds,
        audio_seconds=audio_seconds,
        decoding=describe(recognizer.decoding, recognizer.hotwords),
    )


def evaluate_manifest(recognizer: Recognizer, manifest: Manifest) -> tuple[Scores, list[LeftOut]]:
    """The scores of :func:`evaluate`, empty where nothing could be scored, and what was left out."""
    found = evaluate(recognizer, manifest)
    return found.scores, list(found.left_out)


def alphabet_of(recognizer: Recognizer) -> str:
    """The characters that the recogniser can write."""
    return recognizer.config.tokenizer.alphabet


def describe(decoding: DecodingConfig, hotwords: Sequence[str] = ()) -> str:
    """How emissions become text, in words."""
    if decoding.method == "greedy":
        return "greedy"
    told = f"beam {decoding.beam}"
    if decoding.lm is not None:
        weights = f"weight {decoding.lm_weight:g}, word score {decoding.word_score:g}"
        weights += f", prior weight {decoding.prior_weight:g}" if decoding.prior_weight else ""
        weights += f", phoneme share {decoding.phoneme_share:g}" if decoding.phoneme_share else ""
        weights += f" and {decoding.sound_words} words" if decoding.phoneme_share and decoding.sound_words else ""
        weights += f", neural weight {decoding.neural_weight:g}" if decoding.neural_weight else ""
        told += f" with the language model {decoding.lm} ({weights})"
    return told + (f", hotwords {', '.join(hotwords)}" if hotwords else "")


def _with_text(manifest: Manifest, form: Normalization) -> tuple[list[tuple[Utterance, str]], list[LeftOut]]:
    """Utterances with their references, and those that have none."""
    found, left_out = [], []
    for utterance in manifest:
        if reference := form.apply(utterance.text or ""):
            found.append((utterance, reference))
        else:
            reason = f"{NO_TEXT} after normalisation" if words(utterance.text or "") else NO_TEXT
            left_out.append(LeftOut(utterance.id, reason))
    return found, left_out
