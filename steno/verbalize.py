"""Numbers, signs and titles as English says them: "Dr. No has $5" becomes "doctor No has five dollars".

What a number is read as depends on its neighbours, and sometimes only on who speaks: here a number of four digits
between 1100 and 2099 is a year unless it has a comma, and "10:30" a time. The form is LibriSpeech's: no hyphens, and no
"and" within a number.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inflect import engine

_MANY = 1_000_000_000_000_000
_SIGNS = {"&": " and ", "+": " plus ", "=": " equals ", "@": " at ", "%": " percent ", "°": " degrees "}
_MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
}
_SHORT = {
    **{"mr": "mister", "mrs": "missus", "dr": "doctor", "prof": "professor", "capt": "captain"},
    **{"vs": "versus", "etc": "et cetera", "approx": "approximately"},
}
_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"


def verbalized(text: str) -> str:
    """The text with its numbers, signs and short titles in words; what stands around them is as it was."""
    for pattern, say in _READINGS:
        text = pattern.sub(say, text)
    return text


@cache
def _engine() -> "engine":
    import inflect

    return inflect.engine()


def _cardinal(digits: str) -> str:
    """A whole number; one that no name is in use for, digit by digit."""
    number = int(digits.replace(",", ""))
    if number >= _MANY:
        return _digits(digits)
    return _plain(str(_engine().number_to_words(str(number), andword="")))


def _ordinal(digits: str) -> str:
    return _plain(str(_engine().number_to_words(_engine().ordinal(digits.replace(",", "")), andword="")))


def _plain(words: str) -> str:
    return " ".join(re.sub(r"[-,]", " ", words).split())


def _digits(text: str) -> str:
    return " ".join(_cardinal(digit) for digit in text if digit.isdecimal())


def _year(digits: str) -> str:
    """1984, 1905, 1900 and 2000 to 2009 are each read in their own way."""
    century, rest = divmod(int(digits), 100)
    if century == 20 and rest < 10:
        return _cardinal(digits)
    if not rest:
        return f"{_cardinal(str(century))} hundred"
    return f"{_cardinal(str(century))} {'oh ' if rest < 10 else ''}{_cardinal(str(rest))}"


def _decade(digits: str) -> str:
    """1980s and 80s: the plural of the last word."""
    words = _year(digits) if len(digits) == 4 else _cardinal(digits)
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _decimal(whole: str, fraction: str) -> str:
    return f"{_cardinal(whole)} point {_digits(fraction)}"


def _money(found: re.Match[str]) -> str:
    one, many, small_one, small_many = _MONEY[found["sign"]]
    whole, fraction, scale = found["whole"], found["fraction"], found["scale"]
    if scale:
        amount = _decimal(whole, fraction) if fraction else _cardinal(whole)
        return f"{amount} {scale.strip()} {many}"
    said = f"{_cardinal(whole)} {one if int(whole.replace(',', '')) == 1 else many}"
    if not fraction or not int(fraction):
        return said
    if len(fraction) != 2:
        return f"{_decimal(whole, fraction)} {many}"
    small = f"{_cardinal(fraction)} {small_one if int(fraction) == 1 else small_many}"
    return f"{said} and {small}" if int(whole.replace(",", "")) else small


def _time(found: re.Match[str]) -> str:
    hour, minute = found[1], found[2]
    if not int(minute):
        return _cardinal(hour) if found[3] else f"{_cardinal(hour)} o'clock"
    return f"{_cardinal(hour)} {'oh ' if int(minute) < 10 else ''}{_cardinal(minute)}"


def _apart(reading: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
    """The reading with a space on both sides, as numbers may stand beside letters: mp3, 5kg."""
    return lambda found: f" {reading(found)} "


_READINGS: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (re.compile(pattern), _apart(reading))
    for pattern, reading in (
        (rf"(?i:\b({'|'.join(_SHORT)})\b\.?)", lambda found: _SHORT[found[1].lower()]),
        (r"(?i:\bno\.\s?)(?=\d)", lambda found: "number"),
        (r"(?<![\w.)-])[-\u2212](?=\d)", lambda found: "minus"),
        (
            rf"(?P<sign>[$£€])\s?(?P<whole>{_NUMBER})(?:\.(?P<fraction>\d+))?"
            r"(?P<scale>\s(?:hundred|thousand|million|billion|trillion)\b)?",
            _money,
        ),
        (r"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])(?=(\s*[ap]\.?m\b)?)", _time),
        (rf"\b({_NUMBER})(?:st|nd|rd|th)\b", lambda found: _ordinal(found[1])),
        (r"(?<![\d.,])'?(1[1-9]\d0|20\d0|[2-9]0)'?s\b", lambda found: _decade(found[1])),
        (r"(?<![\d.-])(\d+(?:-\d+){2,}|\d{3}-\d{4}|0\d+|\d{8,})(?![\d-])", lambda found: _digits(found[1])),
        (r"(?<![\d.])\d+(?:\.\d+){2,}", lambda found: " point ".join(map(_cardinal, found[0].split(".")))),
        (rf"({_NUMBER})\.(\d+)", lambda found: _decimal(found[1], found[2])),
        (r"(?<![\d.,])(1[1-9]\d\d|20\d\d)(?![\d,]*\d)", lambda found: _year(found[1])),
        (rf"({_NUMBER})", lambda found: _cardinal(found[1])),
        (rf"[{re.escape(''.join(_SIGNS))}]", lambda found: _SIGNS[found[0]]),
    )
]
"""Patterns in the order in which they are looked for, and what they are read as."""
