"""Who speaks in the embedded corpus: espeak-ng's accents of English, and its voice variants shared out to the parts.

Left out are variants that a listener cannot follow or would not take for a person: whispers, croaks, robots, voices
whose vowels were moved so far that they turn into others, and those that hurry over unstressed syllables. Variants
that differ by little (``Gene`` and ``Gene2``) always stay in one part, so that a test voice has no near twin in the
training data.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from steno.espeak import Voice

ACCENTS = ("en-us", "gmw/en", "en-gb-x-rp")
"""espeak-ng's names of the accents; ``gmw/en`` is British English."""

WOMEN = {
    "train": ("f1", "f3", "f4", "aunty", "grandma", "shelby", "steph", "steph2"),
    "dev": ("linda", "belinda"),
    "test": ("f2", "f5", "Annie"),
}
MEN = {
    "train": (
        *("m1", "m2", "m5", "m6", "m8", "Andy", "Denis", "victor", "Mike", "rob", "robert"),
        *("quincy", "Michael", "Mario", "gustave", "marcelo", "Nguyen", "Diogo", "Henrique", "Hugo", "michel"),
        *("miguel", "norbert", "john", "Tweaky", "pablo", "iven2", "iven3", "iven4", "grandpa"),
        *("klatt", "klatt2", "klatt3", "klatt4", "adam", "benjamin", "david", "edward", "edward2", "mike2"),
    ),
    "dev": ("m4", "boris", "Alex", "max"),
    "test": ("m3", "m7", "ed", "paul", "Gene", "Gene2"),
}
"""espeak-ng's variants of each part."""

_WOMEN_EVERY = 3
_SLOWEST, _FASTEST = 115, 150
"""Words a minute. Much above, espeak-ng gives short sounds less than the 40 ms that a recogniser's frame may last."""


@dataclass(frozen=True)
class Speaker:
    """One voice of the corpus: a variant with an accent, a pitch and a pace of its own."""

    id: int
    sex: str
    voice: Voice


def cast(part: str, count: int, first_id: int, rng: random.Random) -> list[Speaker]:
    """Speakers of one part: every variant once before any comes again, one in three a woman."""
    accents = _endless(ACCENTS, rng)
    women, men = _endless(WOMEN[part], rng), _endless(MEN[part], rng)
    speakers = []
    for index in range(count):
        is_woman = index % _WOMEN_EVERY == 1
        variant = next(women if is_woman else men)
        voice = Voice(
            name=f"{next(accents)}+{variant}",
            rate=rng.randint(_SLOWEST, _FASTEST),
            pitch=rng.randint(38, 62),
            range=rng.randint(35, 65),
        )
        speakers.append(Speaker(first_id + index, "F" if is_woman else "M", voice))
    return speakers


def _endless(names: tuple[str, ...], rng: random.Random) -> Iterator[str]:
    while True:
        yield from rng.sample(names, len(names))
