"""A model that was made of a text holds it n-gram for n-gram; another one does not."""

import random
from pathlib import Path

import pytest

from steno.lm import open_lm
from steno.lm.build import build
from steno.lm.overlap import LEAST_WORDS, contained
from steno.text import normalize


@pytest.fixture
def sentences(novel: Path) -> list[list[str]]:
    return [normalize(line).split() for line in novel.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("form", ["lm.bin", "lm.arpa"])
def test_its_own_text_is_held_and_no_other(
    novel: Path, sentences: list[list[str]], tmp_path: Path, order: int, form: str
) -> None:
    build([novel], [tmp_path / form], order)
    model = open_lm(tmp_path / form)
    long = [words for words in sentences if len(words) >= LEAST_WORDS]
    found = contained(model, sentences)
    assert found is not None
    assert found[0] > 0.9 * len(long)
    assert found[1] == len(long)
    shuffled = [random.Random(1).sample(words, len(words)) for words in long]
    assert contained(model, shuffled) == (0, len(long))
    assert contained(model, [[*long[0], "zyzzyva"]]) == (0, 1)


def test_what_cannot_tell(novel: Path, sentences: list[list[str]], tmp_path: Path) -> None:
    build([novel], [tmp_path / "short.bin"], 2)
    build([novel], [tmp_path / "letters.bin"], 4, units="characters")
    assert contained(open_lm(tmp_path / "short.bin"), sentences) is None
    assert contained(open_lm(tmp_path / "letters.bin"), sentences) is None
    build([novel], [tmp_path / "lm.bin"], 3)
    assert contained(open_lm(tmp_path / "lm.bin"), [["the", "cat"]]) == (0, 0)
