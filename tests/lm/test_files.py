"""Opening models: what is none is told, an ARPA file's line by its number."""

import gzip
from pathlib import Path

import pytest

from steno.errors import LanguageModelError
from steno.lm import LanguageModelFile, open_lm

GOOD = """\
# made by hand

\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.3
-0.7\t</s>
-0.5\tyes\t-0.2
-0.6\tno\t-0.2

\\2-grams:
-0.2\t<s> yes
-0.3\tyes </s>

\\end\\
"""


def opened(text: str, folder: Path) -> LanguageModelFile:
    path = folder / "m.arpa"
    path.write_text(text, encoding="utf-8")
    return open_lm(path)


def test_an_arpa_file_is_read(tmp_path: Path) -> None:
    model = opened(GOOD, tmp_path)
    assert (model.order, sorted(model.words()), model.units) == (2, ["no", "yes"], "words")
    packed = tmp_path / "m.arpa.gz"
    packed.write_bytes(gzip.compress(GOOD.replace("\n", "\r\n").encode()))
    assert sorted(open_lm(packed).words()) == ["no", "yes"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ngram 2=2", "ngram 3=2", r"m\.arpa:5: expected ngram 2=COUNT, found 'ngram 3=2'"),
        ("ngram 1=5", "ngram 1=five", r"m\.arpa:4: expected ngram 1=COUNT"),
        ("ngram 1=5", "ngram 1=6", r"m\.arpa:13: expected one of the 1-grams that are announced, found an empty line"),
        ("ngram 2=2", "ngram 2=3", r"m\.arpa:17: expected one of the 2-grams"),
        ("ngram 2=2", "ngram 2=1", r"m\.arpa:16: expected \\end\\, found '-0\.3\\tyes </s>'"),
        ("\\1-grams:", "\\one:", r"m\.arpa:7: expected \\1-grams:, found"),
        ("-0.6\tno\t-0.2", "-0.6 no -0.2", r"m\.arpa:12: expected probability, words, back-off with tabs"),
        ("-0.6\tno\t-0.2", "minus\tno\t-0.2", r"m\.arpa:12: expected a number, found 'minus'"),
        ("-0.6\tno\t-0.2", "-0.6\tno\tnan", r"m\.arpa:12: expected a number, found 'nan'"),
        ("-0.6\tno\t-0.2", "0.6\tno\t-0.2", r"m\.arpa:12: expected a log10 probability of at most 0"),
        ("-0.2\t<s> yes", "-0.2\t<s>", r"m\.arpa:15: expected 2 words with spaces between them, found '<s>'"),
        ("-0.2\t<s> yes", "-0.2\t<s> yes\t-1", r"m\.arpa:15: expected probability, words with tabs"),
        ("-0.2\t<s> yes", "-0.2\t<s> oui", r"m\.arpa:15: 'oui' is not among the 1-grams"),
        ("-0.7\t</s>", "-0.7\tend", r"m\.arpa:12: the 1-grams end here without </s>"),
        ("\\end\\\n", "", r"m\.arpa: ends after line 17, where \\end\\ was expected"),
        ("-0.3\tyes </s>\n\n\\end\\\n", "", r"m\.arpa: ends after line 15, where one of the 2-grams"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(LanguageModelError, match=told):
        opened(GOOD.replace(old, new), tmp_path)


@pytest.mark.parametrize("content", [b"", b"some text\n", b"\x89PNG\r\n\x1a\n\x00", "zażółć\n".encode("latin2")])
def test_what_is_no_model_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=r"m\.bin: is no language model"):
        open_lm(path)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.bin", tmp_path):
        with pytest.raises(LanguageModelError, match=str(path)):
            open_lm(path)


def test_a_model_without_words_is_refused(tmp_path: Path) -> None:
    bare = GOOD.replace("ngram 1=5", "ngram 1=3").replace("ngram 2=2", "ngram 2=0")
    for line in ("-0.5\tyes\t-0.2\n", "-0.6\tno\t-0.2\n", "-0.2\t<s> yes\n", "-0.3\tyes </s>\n"):
        bare = bare.replace(line, "")
    with pytest.raises(LanguageModelError, match="has no words"):
        opened(bare, tmp_path)


def test_a_model_has_to_fit_the_alphabet(tmp_path: Path) -> None:
    model = opened(GOOD, tmp_path)
    model.check_fits(" abcdefghijklmnopqrstuvwxyz")
    model.check_fits("yes")  # spells half of it
    with pytest.raises(LanguageModelError, match=r"m\.arpa: does not fit .* lacks e n o s y .*2 of 2 words, such as"):
        model.check_fits(" ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_a_model_of_characters_needs_them_and_the_space(tmp_path: Path) -> None:
    model = opened(GOOD.replace("yes", "y").replace("no", "|"), tmp_path)
    assert model.units == "characters"
    model.check_fits(" y")
    with pytest.raises(LanguageModelError, match="does not fit"):
        model.check_fits("ab")
