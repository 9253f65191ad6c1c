"""The plan of the embedded corpus: who says what, and how it is recorded. Pure; nothing is spoken here."""

import hashlib
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from steno.data.synth.acoustics import NOISE_SLOPES, Scene
from steno.data.synth.sentences import compose
from steno.data.synth.voices import Speaker, cast
from steno.espeak import Voice

FIRST_SPEAKER = {"train": 10_001, "dev": 20_001, "test": 30_001}
"""Numbers of speakers start here; LibriSpeech's own end below 9000."""

FEWEST_HOURS, MOST_HOURS = 0.005, 80.0
"""Bounds of the training part: below, a part would have no sentence; above, the numbers of speakers collide."""

_HELD_OUT = {"dev": 0.045, "test": 0.055}
_LINES_PER_SPEAKER = 12
_FEWEST_SPEAKERS = 4
_SECONDS_PER_LETTER = 0.065
_SECONDS_OF_PAUSE = 0.688
_ECHO_SHARE = 0.3
_NOISE_SHARE = 0.3


@dataclass(frozen=True)
class Line:
    """One utterance: what is said (lower case), by which voice, and how it is recorded."""

    id: str
    text: str
    voice: Voice
    scene: Scene


@dataclass(frozen=True)
class Chapter:
    """All that one speaker says; each speaker has one chapter, numbered as the speaker is."""

    part: str
    speaker: Speaker
    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        """``SPEAKER-CHAPTER``, the stem of the utterances' names."""
        return _name(self.speaker)


def lengths(hours: float) -> dict[str, float]:
    """Hours of each part beside ``hours`` of training speech.

    Dev and test grow with the square root: minutes beside a few hours, and still some sentences beside minutes.
    """
    return {"train": hours, **{part: share * math.sqrt(hours) for part, share in _HELD_OUT.items()}}


def draw_plan(seed: int, hours: float) -> list[Chapter]:
    """The whole corpus with ``hours`` of training speech, about; the same for the same arguments.

    Train, dev and test share neither a sentence nor a variant of espeak-ng's voices.
    """
    sentences = compose(random.Random(f"{seed} sentences"))
    plan: list[Chapter] = []
    for part, length in lengths(hours).items():
        texts = list(_fill(sentences, 3600 * length))
        count = min(len(texts), max(_FEWEST_SPEAKERS, round(len(texts) / _LINES_PER_SPEAKER)))
        speakers = cast(part, count, FIRST_SPEAKER[part], random.Random(f"{seed} {part}"))
        plan += [
            Chapter(part, speaker, _lines(speaker, texts[index::count], seed)) for index, speaker in enumerate(speakers)
        ]
    return plan


def digest(plan: list[Chapter]) -> str:
    """A fingerprint of the plan: another grammar, voice, seed or length gives another one."""
    return hashlib.sha256(repr(plan).encode()).hexdigest()[:16]


def _fill(sentences: Iterator[str], seconds: float) -> Iterator[str]:
    """Sentences that last about that long when they are said."""
    while seconds > 0:
        sentence = next(sentences)
        seconds -= _SECONDS_OF_PAUSE + _SECONDS_PER_LETTER * len(sentence)
        yield sentence


def _lines(speaker: Speaker, texts: list[str], seed: int) -> tuple[Line, ...]:
    names = (f"{_name(speaker)}-{number:04d}" for number in itertools.count())
    return tuple(_line(name, text, speaker, seed) for name, text in zip(names, texts, strict=False))


def _line(name: str, text: str, speaker: Speaker, seed: int) -> Line:
    rng = random.Random(f"{seed} {name}")
    voice = replace(
        speaker.voice,
        rate=round(speaker.voice.rate * rng.uniform(0.93, 1.07)),
        pitch=speaker.voice.pitch + rng.randint(-4, 4),
    )
    return Line(name, text, voice, _scene(rng))


def _scene(rng: random.Random) -> Scene:
    has_echo, has_noise = rng.random() < _ECHO_SHARE, rng.random() < _NOISE_SHARE
    return Scene(
        seed=rng.getrandbits(48),
        level=round(rng.uniform(-28, -20), 2),
        lead=round(rng.uniform(0.1, 0.3), 3),
        trail=round(rng.uniform(0.15, 0.35), 3),
        rt60=round(math.exp(rng.uniform(math.log(0.2), math.log(0.5))), 3) if has_echo else None,
        direct=round(rng.uniform(4, 12), 2),
        noise=rng.choice(sorted(NOISE_SLOPES)) if has_noise else "white",
        snr=round(rng.uniform(15, 30) if has_noise else rng.uniform(45, 60), 2),
    )


def _name(speaker: Speaker) -> str:
    return f"{speaker.id}-{100_000 + speaker.id}"
