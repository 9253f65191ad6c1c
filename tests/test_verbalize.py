"""Numbers and signs in words, as they are said."""

import pytest

from steno.text import ENGLISH, normalize
from steno.verbalize import verbalized

SAID = {
    "room 7, 21 people and 1,234 ants": "room seven twenty one people and one thousand two hundred thirty four ants",
    "1,234,567": "one million two hundred thirty four thousand five hundred sixty seven",
    "in 1984, 1905 and 1900": "in nineteen eighty four nineteen oh five and nineteen hundred",
    "in 2003 and 2010": "in two thousand three and twenty ten",
    "1,984 of them, 9000 more": "one thousand nine hundred eighty four of them nine thousand more",
    "the 1980s, the 90s and the '60s": "the nineteen eighties the nineties and the sixties",
    "the 1st, 22nd and 103rd": "the first twenty second and one hundred third",
    "3.14 and -0.5": "three point one four and minus zero point five",
    "version 2.0.1": "version two point zero point one",
    "$1, £3.50 and €0.99": "one dollar three pounds and fifty pence and ninety nine cents",
    "$3.5 million": "three point five million dollars",
    "at 10:30 a.m., 9:05, 12:00 and 5:00 pm": "at ten thirty a m nine oh five twelve o'clock and five pm",
    "call 555-1234 or 007": "call five five five one two three four or zero zero seven",
    "50% of Tom & Jerry's mp3 files, 5kg": "fifty percent of tom and jerry's mp three files five kg",
    "pages 12-15.": "pages twelve fifteen",
    "Mr. and Mrs. Smith vs. DR. No, No. 5 etc.": "mister and missus smith versus doctor no number five et cetera",
    "Drew, the mrsa and a profile": "drew the mrsa and a profile",
    "nothing to say: well-known words, it's so": "nothing to say well known words it's so",
    "": "",
}


@pytest.mark.parametrize("written", SAID)
def test_what_is_said(written: str) -> None:
    assert normalize(verbalized(written)) == SAID[written]


ODD = ["1" * 40, "0.0.0.0", "1:2:3", "$", "1,2,3", "12:60", "3,00", "1900-1950", "-", "5'10\""]


@pytest.mark.parametrize("text", ODD)
def test_no_digit_is_left(text: str) -> None:
    assert set(normalize(verbalized(text))) <= set(ENGLISH)


def test_other_text_stays_as_it_is() -> None:
    text = "Über  allem: \t „nichts“ — (so)!"
    assert verbalized(text) == text
