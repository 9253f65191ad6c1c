"""Models read back, scored, and joined by shares."""

from collections.abc import Callable
from pathlib import Path

import arpa_oracle
import numpy as np
import pytest

from steno.errors import LanguageModelError
from steno.lm.build import build
from steno.lm.corpus import SPECIALS, read_corpus
from steno.lm.files import read_model, write_model
from steno.lm.interpolate import best_shares, interpolate, perplexity, probabilities
from steno.lm.model import BackoffModel

PRUNED = """\
\\data\\
ngram 1=5
ngram 3=1

\\1-grams:
-99\t<s>\t-0.3
-0.7\t</s>
-0.5\tyes\t-0.2
-0.6\tno\t-0.1
-1.0\t<unk>

\\2-grams:

\\3-grams:
-0.2\t<s> yes no

\\end\\
"""


def texts(write_text: Callable[..., Path]) -> tuple[Path, Path]:
    """Two texts that share some of their words."""
    one, two = write_text("one.txt", 300, words=8, seed=1), write_text("two.txt", 60, words=12, seed=2)
    return one, two


def test_a_model_is_read_back_as_it_was_written(write_text: Callable[..., Path], tmp_path: Path) -> None:
    text, _ = texts(write_text)
    arpa, compact = tmp_path / "m.arpa", tmp_path / "m.bin"
    build([text], [arpa, compact], order=3, prune=(0, 0, 1), compact=True)
    exact, rounded = read_model(arpa), read_model(compact)
    assert exact.counts == rounded.counts
    again = tmp_path / "again.arpa"
    write_model(exact, again)
    found, written = arpa_oracle.read(again), arpa_oracle.read(arpa)
    assert found.keys() == written.keys()
    for gram, values in written.items():
        assert found[gram] == pytest.approx(values, abs=1e-5), gram
    write_model(rounded, again)
    found = arpa_oracle.read(again)
    for gram, (log_prob, _) in written.items():
        assert found[gram][0] == pytest.approx(log_prob, abs=0.2), gram


def test_a_hash_table_cannot_be_read_back(write_text: Callable[..., Path], tmp_path: Path) -> None:
    build([texts(write_text)[0]], [tmp_path / "m.bin"], order=2)
    with pytest.raises(LanguageModelError, match="hashes of n-grams"):
        read_model(tmp_path / "m.bin")


def test_what_a_pruned_file_leaves_out_has_the_probability_that_it_has_anyway(tmp_path: Path) -> None:
    text = PRUNED.replace("ngram 3=1", "ngram 2=0\nngram 3=1")
    (tmp_path / "pruned.arpa").write_text(text)
    model = read_model(tmp_path / "pruned.arpa")
    assert model.counts == [5, 2, 1]  # "<s> yes" and "yes no" are needed by the longest
    write_model(model, tmp_path / "whole.arpa")
    whole = arpa_oracle.read(tmp_path / "whole.arpa")
    assert whole["<s>", "yes"][0] == pytest.approx(-0.8)
    assert whole["yes", "no"][0] == pytest.approx(-0.8)


@pytest.mark.parametrize("order", [1, 3, 4])
def test_tokens_are_scored_as_the_file_says(order: int, write_text: Callable[..., Path], tmp_path: Path) -> None:
    one, two = texts(write_text)
    build([one], [tmp_path / "m.arpa"], order=order)
    model, plain = read_model(tmp_path / "m.arpa"), arpa_oracle.read(tmp_path / "m.arpa")
    corpus = read_corpus([two])
    found = probabilities(model, corpus)
    expected = []
    for line in two.read_text().splitlines():
        words = ["<s>", *line.split(), "</s>"]
        for place in range(1, len(words)):
            known = (words[place],) in plain
            expected.append(10 ** arpa_oracle.log10(plain, words[:place][-order + 1 :], words[place]) if known else 0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert perplexity(found) == pytest.approx(np.exp(-np.log([one for one in expected if one]).mean()))


def mixed(one: Path, two: Path, share: float, folder: Path, orders: tuple[int, int] = (3, 2)) -> BackoffModel:
    models = []
    for text, order in zip((one, two), orders, strict=True):
        build([text], [folder / "part.arpa"], order=order)
        models.append(read_model(folder / "part.arpa"))
    return interpolate(models, [1 - share, share])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_n_grams_have_the_mean_of_what_both_say(share: float, write_text: Callable[..., Path], tmp_path: Path) -> None:
    one, two = texts(write_text)
    write_model(mixed(one, two, share, tmp_path), tmp_path / "mixed.arpa")
    both = arpa_oracle.read(tmp_path / "mixed.arpa")
    parts = []
    for text, order in ((one, 3), (two, 2)):
        build([text], [tmp_path / "part.arpa"], order=order)
        parts.append((arpa_oracle.read(tmp_path / "part.arpa"), order))
    assert both.keys() == parts[0][0].keys() | parts[1][0].keys()
    for gram, (log_prob, _) in both.items():
        if gram == ("<s>",):
            continue
        each = []
        for plain, order in parts:
            known = gram[-1:] in plain
            context = list(gram[:-1])[len(gram) - order if len(gram) > order else 0 :] if order > 1 else []
            each.append(10 ** arpa_oracle.log10(plain, context, gram[-1]) if known else 0.0)
        expected = (1 - share) * each[0] + share * each[1]
        assert 10**log_prob == pytest.approx(expected, rel=1e-3, abs=1e-12), gram


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_probabilities_after_any_words_add_up(share: float, write_text: Callable[..., Path], tmp_path: Path) -> None:
    one, two = texts(write_text)
    model = mixed(one, two, share, tmp_path)
    write_model(model, tmp_path / "mixed.arpa")
    plain = arpa_oracle.read(tmp_path / "mixed.arpa")
    words = [word for word in model.vocabulary if word != "<s>"]
    for context in ([], ["<s>"], ["aa"], ["<s>", "aa"], ["aa", "bb"], ["kk", "aa"]):
        total = sum(10 ** arpa_oracle.log10(plain, context, word) for word in words)
        assert total == pytest.approx(1, abs=0.01), context


def test_the_best_share_is_found() -> None:
    rng = np.random.default_rng(1)
    of_first = rng.random(20_000) < 0.3
    chances = np.where(of_first, [[0.5], [0.1]], [[0.1], [0.5]])
    unknown = np.zeros((2, 100))
    found = best_shares(np.hstack([chances, unknown]))
    grid = np.linspace(0.01, 0.99, 99)
    likelihoods = [np.log(share * chances[0] + (1 - share) * chances[1]).sum() for share in grid]
    assert found[0] == pytest.approx(grid[int(np.argmax(likelihoods))], abs=0.01)
    assert found.sum() == pytest.approx(1)


def test_words_of_either_model_are_words_of_both(write_text: Callable[..., Path], tmp_path: Path) -> None:
    one, two = texts(write_text)
    model = mixed(one, two, 0.5, tmp_path)
    assert model.vocabulary[:3] == list(SPECIALS)
    assert set(model.vocabulary[3:]) == set(f"{one.read_text()} {two.read_text()}".split())
