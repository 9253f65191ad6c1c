"""A text laid along its recording, and the forms in which that is written."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from steno.audio import Samples
from steno.decoding.align import forced_alignment, misfit
from steno.decoding.path import Emission
from steno.decoding.transcript import Transcript
from steno.decoding.words import transcript
from steno.errors import DecodingError, TextError
from steno.runtime.formats import cues_of
from steno.runtime.recognizer import Recognizer
from steno.runtime.vad import segments
from steno.text import normalize

MOST_MISFIT = 2 / 3
"""Above this a text does not seem to be that of its recording.

Measured with small-en on 120 utterances of LibriSpeech's dev-clean, each with its own text and with another one of like
length: 0.00 to 0.45 with its own (half of them below 0.07), 0.71 to 1 with the other; in white noise at 5 dB up to 0.63
with its own, and from 0.69 with the other. At -5 dB, where the model hears hardly anything, all are alike.
"""


@dataclass(frozen=True, slots=True)
class Aligned:
    """A text with its times, and how badly it fits its recording.

    ``misfit`` is that of :func:`steno.decoding.align.misfit`: 0 where the model hears the very text, about 1 where it
    fits as well as any other; None where that cannot be told.
    """

    transcript: Transcript
    misfit: float | None

    @property
    def doubtful(self) -> bool:
        """Whether the text does not seem to be that of the recording."""
        return self.misfit is not None and self.misfit > MOST_MISFIT


def align(recognizer: Recognizer, samples: Samples, text: str, longest: float = 30.0) -> Aligned:
    """Times of each word and character of a text in its recording (N,), at the recogniser's rate.

    A recording of more than ``longest`` seconds is cut at its silences for the model; the text is laid along the
    whole of it.

    Raises:
        DecodingError: the text is empty, or longer than the recording.
        TextError: the alphabet cannot spell it.
    """
    spelled = normalize(text, recognizer.tokenizer.alphabet)
    try:
        labels = recognizer.tokenizer.encode(spelled)
    except TextError as error:
        raise TextError(error.message, "Write it with the model's characters: numbers, say, in words.") from None
    tokens = recognizer.tokenizer.tokens
    emission_tv = _emission(recognizer, samples, longest)[:, : len(tokens)]  # without phonemes
    found = forced_alignment(emission_tv, labels)
    return Aligned(
        transcript([found], emission_tv, tokens, recognizer.config.seconds_per_frame),
        misfit(emission_tv, found.path_t),
    )


def _emission(recognizer: Recognizer, samples: Samples, longest: float) -> Emission:
    """One emission of the whole recording; what was left out as silent is blank."""
    rate, seconds = recognizer.sample_rate, recognizer.config.seconds_per_frame
    if len(samples) <= longest * rate:
        return recognizer.emissions([samples])[0]
    pieces = list(segments([samples], rate, longest))
    if not pieces:
        raise DecodingError("there is no speech in the recording")
    emissions = recognizer.emissions([piece for _, piece in pieces])
    labels = emissions[0].shape[1]
    whole = np.full((int(len(samples) / rate / seconds) + 1, labels), -1e3, dtype=np.float32)
    whole[:, 0] = 0.0
    for (start, _), part_tv in zip(pieces, emissions, strict=True):
        first = round(start / rate / seconds)
        count = min(len(part_tv), len(whole) - first)
        whole[first : first + count] = part_tv[:count]
    return whole


def to_textgrid(aligned: Transcript, seconds: float) -> str:
    """Praat's TextGrid (its long form) with tiers of utterances, cut as subtitles are, of words and of characters."""
    marks = {
        "utterances": cues_of(aligned.words),
        "words": ((word.start, word.end, word.text) for word in aligned.words),
        "characters": ((token.start, token.end, token.text) for word in aligned.words for token in word.tokens),
    }
    tiers = [(name, _filled(found, seconds)) for name, found in marks.items()]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds:.4f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers, start=1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {seconds:.4f}", f"        intervals: size = {len(intervals)}"]
        for place, (start, end, text) in enumerate(intervals, start=1):
            quoted = text.replace("\n", " ").replace('"', '""')
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {start:.4f}",
                f"            xmax = {end:.4f}",
            ]
            lines += [f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"


def _filled(marks: Iterable[tuple[float, float, str]], seconds: float) -> list[tuple[float, float, str]]:
    """The marks with empty intervals between them: a tier has no gaps and no overlaps."""
    filled: list[tuple[float, float, str]] = []
    now = 0.0
    for begin, finish, text in marks:
        start, end = max(now, begin), min(max(finish, begin), seconds)
        if start > now:
            filled.append((now, start, ""))
        if end > start:
            filled.append((start, end, text))
            now = end
    if now < seconds:
        filled.append((now, seconds, ""))
    return filled
