"""The estimates: against a plain implementation, against KenLM's own estimator, and as probabilities."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import arpa_oracle
import numpy as np
import pytest
from arpa_oracle import Arpa
from kneser_ney_oracle import Oracle

from steno.lm.build import build
from steno.lm.corpus import END, read_corpus
from steno.lm.counts import count_grams
from steno.lm.kneser_ney import FALLBACK, estimate_discounts

DATA = Path(__file__).parent / "data"


def built(text: Path, folder: Path, **settings: Any) -> Arpa:
    path = folder / "built.arpa"
    build([text], [path], **settings)
    return arpa_oracle.read(path)


def assert_same(found: Arpa, expected: Arpa, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for gram, values in expected.items():
        assert found[gram] == pytest.approx(values, abs=tolerance), gram


@pytest.mark.parametrize(
    ("order", "prune", "sentences", "words"),
    [
        (1, (), 30, 5),
        (2, (), 30, 5),
        (3, (), 200, 12),
        (3, (0, 1), 200, 12),
        (4, (0, 0, 1, 2), 400, 20),
        (5, (), 60, 3),
    ],
)
def test_it_is_modified_kneser_ney(
    order: int, prune: tuple[int, ...], sentences: int, words: int, write_text: Callable[..., Path], tmp_path: Path
) -> None:
    text = write_text("text.txt", sentences, words, seed=order + sentences)
    lines = [line.split() for line in text.read_text(encoding="utf-8").splitlines()]
    expected = Oracle(lines, order, prune or (0,)).arpa()
    assert_same(built(text, tmp_path, order=order, prune=prune), expected, 2e-6)


@pytest.mark.parametrize(("order", "prune"), [(3, ()), (4, (0, 0, 1))])
def test_it_agrees_with_lmplz(order: int, prune: tuple[int, ...], novel: Path, tmp_path: Path) -> None:
    expected = arpa_oracle.read(DATA / f"lmplz-{order}.arpa.gz")
    assert_same(built(novel, tmp_path, order=order, prune=prune), expected, 2e-6)


def test_characters_of_a_high_order_agree_too(write_text: Callable[..., Path], tmp_path: Path) -> None:
    text = write_text("text.txt", 40, 4)
    lines = [list(line.replace(" ", "|")) for line in text.read_text(encoding="utf-8").splitlines()]
    expected = Oracle(lines, 10).arpa()
    assert max(map(len, expected)) == 10
    assert_same(built(text, tmp_path, order=10, units="characters"), expected, 2e-6)


@pytest.mark.parametrize(
    "settings", [{}, {"prune": (0, 1, 2)}, {"vocabulary": 60}, {"vocabulary": 60, "prune": (0, 1)}]
)
def test_the_words_after_any_context_sum_to_one(settings: dict[str, Any], novel: Path, tmp_path: Path) -> None:
    model = built(novel, tmp_path, order=3, **settings)
    words = [gram[0] for gram in model if len(gram) == 1 and gram != ("<s>",)]
    contexts = [gram for gram in model if len(gram) == 2 and gram[-1] != "</s>"]
    for context in [(), ("<s>",), ("the",), ("no", "such"), *contexts[:: len(contexts) // 20]]:
        assert sum(10 ** arpa_oracle.log10(model, context, word) for word in words) == pytest.approx(1, abs=2e-5)


def test_words_beyond_the_vocabulary_are_unknown(novel: Path, tmp_path: Path) -> None:
    whole, cut = built(novel, tmp_path, order=2), built(novel, tmp_path, order=2, vocabulary=50)
    assert sum(len(gram) == 1 for gram in cut) == 50 + 3
    assert ("the",) in cut
    assert cut[("<unk>",)][0] > -1 > whole[("<unk>",)][0]
    assert not any("<unk>" in gram for gram in cut if len(gram) > 1)


def test_counting_in_pieces_changes_nothing(novel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = read_corpus([novel])
    whole = list(count_grams(corpus, 4))
    monkeypatch.setattr("steno.lm.counts._CHUNK", 97)
    for table, same in zip(count_grams(corpus, 4), whole, strict=True):
        for name in ("word", "context", "suffix", "count", "begins"):
            np.testing.assert_array_equal(getattr(table, name), getattr(same, name))
    assert whole[0].count[END] == corpus.sentences == 110


def test_too_few_counts_take_the_fallback_and_say_so() -> None:
    assert estimate_discounts(np.array([7, 8, 9])) is FALLBACK
    assert not FALLBACK.estimated
    assert estimate_discounts(np.repeat([1, 2, 3, 4], [40, 20, 10, 5])).once == pytest.approx(0.5)


def test_progress_goes_up_to_the_end(novel: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    build([novel], [tmp_path / "m.bin"], order=3, progress=lambda what, part: told.append((what, part)))
    assert {what.split()[0] for what, _ in told} == {"counting", "estimating", "writing"}
    assert all(0 <= part <= 1 for _, part in told)
