"""Sentences for the embedded corpus: a vocabulary of some three hundred words and a small grammar.

Both were written for Steno and carry no other licence than Steno's own. The words were chosen so that no two of
them sound alike in any of the accents that are used (no "two" beside "to", no "won" beside "one"), and that
every letter and the apostrophe occur.
"""

import random
from collections import Counter
from collections.abc import Iterator

VOCABULARY: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "PERSON": """teacher doctor farmer sailor baker lawyer painter driver singer captain nurse judge student
                     king queen child woman dancer""",
        "KIN": "cousin uncle brother sister father mother grandfather",
        "ANIMAL": "fox dog horse zebra kitten rabbit pony puppy duck lion monkey lizard",
        "THING": """box key lamp letter basket bottle blanket hammer jacket mirror pencil picture ticket violin
                    quilt jar cup coin map book chair wagon bicycle candle package umbrella clock puzzle""",
        "THINGS": "boxes keys letters bottles pictures tickets cups coins maps books chairs candles",
        "PLACE": """kitchen garden market river bridge station village forest school church castle island valley
                    museum zoo beach hospital library office farm""",
        "TRAIT": "young clever lazy happy brave hungry gentle proud friendly angry curious tired",
        "LOOK": """small old heavy golden empty broken yellow green purple black wooden cheap huge lovely
                   strange clean dirty simple""",
        "DID": """carried found moved dropped hid lost bought sold painted fixed brought wanted borrowed kept took
                  touched""",
        "DO": "carry find move drop hide lose sell paint fix bring borrow keep take wash touch",
        "WENT": "walked ran jumped hurried waited slept danced played laughed",
        "GO": "walk run jump hurry wait sleep dance play",
        "WHERE": "in near behind across outside inside",
        "HOW": "quickly quietly slowly often",
        "NUMBER": "three five six seven nine ten eleven twelve twenty thirty",
        "HOUR": "three five six seven nine ten eleven twelve",
        "PART_OF_DAY": "morning evening afternoon",
        "MEAL": "breakfast lunch dinner",
        "DAY": "monday tuesday wednesday thursday friday saturday sunday",
        "MONTH": "january june july october december",
        "WEATHER": "cold warm cloudy windy dark quiet",
        "MAY": "will won't can can't should couldn't",
        "WAS": "is isn't was wasn't",
        "OWN": "my your his her",
        "SPOKE": "said thought hoped",
        "CAN": "will can should",
        "THEY": "we they she he",
        "MANY": "we they",
    }.items()
}
"""Words by the part that they play in a sentence; a plain word in a pattern stands for itself."""

PHRASES: dict[str, tuple[str, ...]] = {
    "SOMEONE": (
        "the PERSON",
        "OWN KIN",
        "OWN TRAIT KIN",
        "the TRAIT PERSON",
        "a TRAIT PERSON",
        "that PERSON",
        "every PERSON",
    ),
    "BEAST": ("the ANIMAL", "the TRAIT ANIMAL", "a TRAIT ANIMAL", "OWN TRAIT ANIMAL", "that ANIMAL"),
    "SOMETHING": (
        "the THING",
        "a LOOK THING",
        "the LOOK THING",
        "OWN THING",
        "OWN LOOK THING",
        "this THING",
        "NUMBER LOOK THINGS",
        "NUMBER THINGS",
    ),
    "SOMEWHERE": ("WHERE the PLACE", "WHERE that PLACE", "WHERE the small PLACE", "WHERE a strange PLACE"),
    "THEN": (
        "yesterday",
        "last DAY",
        "last MONTH",
        "this PART_OF_DAY",
        "after MEAL",
        "at HOUR o'clock",
    ),
    "SOON": ("tomorrow", "on DAY", "in MONTH", "this PART_OF_DAY", "before MEAL", "at HOUR o'clock"),
}
"""Alternatives for the larger parts of a sentence."""

PATTERNS: tuple[str, ...] = (
    "SOMEONE DID SOMETHING again",
    "SOMEONE DID SOMETHING THEN",
    "SOMEONE DID SOMETHING on DAY",
    "SOMEONE WENT SOMEWHERE last MONTH",
    "SOMEONE HOW DID SOMETHING",
    "SOMEONE DID SOMETHING SOMEWHERE",
    "BEAST WENT SOMEWHERE",
    "BEAST WENT SOMEWHERE THEN",
    "THEY WENT HOW SOMEWHERE",
    "MANY WENT together THEN",
    "SOMEONE WENT SOMEWHERE with OWN ANIMAL",
    "SOMEONE and BEAST WENT SOMEWHERE",
    "please DO SOMETHING SOON",
    "please don't DO SOMETHING SOMEWHERE",
    "don't GO SOMEWHERE SOON",
    "let's GO SOMEWHERE SOON",
    "let's DO SOMETHING SOON",
    "SOMEONE MAY DO SOMETHING SOON",
    "BEAST MAY GO SOMEWHERE",
    "where did SOMEONE DO SOMETHING",
    "did SOMEONE DO SOMETHING THEN",
    "why didn't SOMEONE DO SOMETHING",
    "how many THINGS did SOMEONE DO",
    "when CAN SOMEONE DO SOMETHING",
    "the LOOK THING WAS SOMEWHERE",
    "the THING WAS LOOK and LOOK",
    "SOMEONE WAS TRAIT and TRAIT",
    "it was WEATHER and WEATHER SOMEWHERE",
    "it's WEATHER SOMEWHERE this PART_OF_DAY",
    "i'm going to DO SOMETHING SOON",
    "she's going to DO SOMETHING",
    "that's OWN LOOK THING",
    "there are NUMBER LOOK THINGS SOMEWHERE",
    "THEY SPOKE that SOMEONE DID SOMETHING",
    "i SPOKE that BEAST WENT SOMEWHERE",
    "THEY gave SOMEONE SOMETHING",
    "the PERSON gave SOMETHING to SOMEONE",
    "if it's WEATHER SOMEONE MAY DO SOMETHING",
)
"""Whole sentences; capitals name an entry of PHRASES or VOCABULARY."""

SHORTEST, LONGEST = 4, 10
"""Fewest and most words of a sentence."""

_CHOICES = 4


def vocabulary() -> list[str]:
    """Every word that a sentence can have, sorted, each once."""
    words = {word for group in VOCABULARY.values() for word in group}
    for pattern in (*PATTERNS, *(phrase for phrases in PHRASES.values() for phrase in phrases)):
        words.update(part for part in pattern.split() if not _is_slot(part))
    return sorted(words | {"an"})


def compose(rng: random.Random) -> Iterator[str]:
    """Sentences without end, in lower case, no two alike.

    Of a few words that fit a place, the one that was used least is taken, so that all words of a group come to
    be about equally frequent.
    """
    used: Counter[str] = Counter()
    seen: set[str] = set()
    while True:
        words = _with_articles(_expand(_draw(PATTERNS, used, rng), used, rng))
        sentence = " ".join(words)
        if sentence in seen or not SHORTEST <= len(words) <= LONGEST or _repeats(words):
            continue
        seen.add(sentence)
        yield sentence


def _expand(pattern: str, used: Counter[str], rng: random.Random) -> list[str]:
    words: list[str] = []
    for part in pattern.split():
        if part in PHRASES:
            words += _expand(_draw(PHRASES[part], used, rng), used, rng)
        elif part in VOCABULARY:
            words.append(_draw(VOCABULARY[part], used, rng))
        else:
            words.append(part)
    return words


def _draw(options: tuple[str, ...], used: Counter[str], rng: random.Random) -> str:
    few = rng.sample(options, min(_CHOICES, len(options)))
    option = min(few, key=lambda option: used[option])
    used[option] += 1
    return option


def _with_articles(words: list[str]) -> list[str]:
    return [
        "an" if word == "a" and following[0] in "aeiou" else word
        for word, following in zip(words, [*words[1:], "."], strict=True)
    ]


def _repeats(words: list[str]) -> bool:
    """Whether a word of content comes twice, which reads badly."""
    long = [word for word in words if len(word) > 4]
    return len(long) != len(set(long))


def _is_slot(part: str) -> bool:
    return part in PHRASES or part in VOCABULARY
