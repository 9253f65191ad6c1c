"""The tests keep their level, see a real difference, and cut segments where they should."""

import numpy as np
import pytest

from steno.evaluation.significance import error_segments, holm, matched_pairs, paired_bootstrap
from steno.evaluation.wer import ErrorCounts, count_errors

Texts = list[list[str]]


def spoken(generator: np.random.Generator, utterances: int) -> Texts:
    return [[f"w{word}" for word in generator.integers(500, size=generator.integers(5, 25))] for _ in range(utterances)]


def heard(generator: np.random.Generator, references: Texts, rates: np.ndarray) -> Texts:
    """Substitutions, deletions and insertions at a rate for each utterance."""
    found = []
    for reference, rate in zip(references, rates, strict=True):
        words: list[str] = []
        for word, chance in zip(reference, generator.random(len(reference)) / rate, strict=True):
            words += ["wrong"] if chance < 0.6 else [] if chance < 0.8 else [word, "more"] if chance < 1 else [word]
        found.append(words)
    return found


def trials(count: int, utterances: int, first: float, second: float) -> list[tuple[float, float, float]]:
    """p of both tests and the upper bound, for recognisers of these error rates; utterances differ in difficulty."""
    generator = np.random.default_rng(0)
    found = []
    for seed in range(count):
        references = spoken(generator, utterances)
        difficulty = 2 * generator.beta(2, 2, utterances)
        a, b = (heard(generator, references, np.clip(rate * difficulty, 0.01, 0.9)) for rate in (first, second))
        counts = [[count_errors(r, h) for r, h in zip(references, each, strict=True)] for each in (a, b)]
        bootstrap = paired_bootstrap(*counts, samples=500, seed=seed)
        found.append((matched_pairs(references, a, b).p, bootstrap.p, bootstrap.upper))
    return found


@pytest.mark.parametrize("utterances", [8, 25])
def test_false_positives_come_at_the_level(utterances: int) -> None:
    matched, bootstrap, upper = np.array(trials(400, utterances, 0.2, 0.2)).T
    # Three standard errors of a share of 5 % in 400 trials are 3.3 %.
    assert np.mean(matched < 0.05) == pytest.approx(0.05, abs=0.033)
    assert np.mean(bootstrap < 0.05) == pytest.approx(0.05, abs=0.033)
    assert np.mean(upper < 0) == pytest.approx(0.05, abs=0.033)


def test_a_real_difference_is_seen() -> None:
    matched, bootstrap, upper = np.array(trials(30, 120, 0.2, 0.13)).T
    assert np.mean(matched < 0.05) > 0.9
    assert np.mean(bootstrap < 0.05) > 0.9
    assert np.mean(upper < 0) > 0.9


@pytest.mark.parametrize(
    ("reference", "first", "second", "segments"),
    [
        # Two right words part the errors, one does not.
        ("a b c d e f", "x b c y e f", "a b c d e f", [(1, 0), (1, 0)]),
        ("a b c d", "x b y d", "a b c d", [(2, 0)]),
        # What only one of them has right parts nothing.
        ("a b c d", "x b c d", "a b y d", [(1, 1)]),
        # An insertion between two right words keeps them from parting.
        ("a b c d", "x b z c d", "a b c y", [(2, 1)]),
        ("a b c d", "a b z c d", "a b c d", [(1, 0)]),
        # Insertions at both ends, deletions, nothing at all.
        ("a b", "z a b z", "a b", [(1, 0), (1, 0)]),
        ("a b c", "c", "", [(2, 3)]),
        ("a b c", "a b c", "a b c", []),
        ("", "z", "", [(1, 0)]),
    ],
)
def test_segments(reference: str, first: str, second: str, segments: list[tuple[int, int]]) -> None:
    assert list(error_segments(reference.split(), first.split(), second.split())) == segments


def test_segments_hold_every_error() -> None:
    generator = np.random.default_rng(1)
    references = spoken(generator, 200)
    a, b = (heard(generator, references, np.full(200, rate)) for rate in (0.1, 0.3))
    for texts in zip(references, a, b, strict=True):
        found = list(error_segments(*texts))
        assert sum(first for first, _ in found) == count_errors(texts[0], texts[1]).errors
        assert sum(second for _, second in found) == count_errors(texts[0], texts[2]).errors
        assert all(any(segment) for segment in found)


def test_equal_hypotheses_are_a_tie() -> None:
    references = [["a", "b"], ["c"]]
    found = matched_pairs(references, references, references)
    assert (found.segments, found.p) == (0, 1.0)
    counts = [ErrorCounts(1, 0, 0, 4), ErrorCounts(0, 0, 0, 9)]
    tie = paired_bootstrap(counts, counts)
    assert (tie.difference, tie.p, tie.better, tie.upper) == (0, 1, 0, 0)


def test_a_few_equal_differences_do_not_make_certainty() -> None:
    """Three segments, each one error better: the variance is zero, but the exact test says 1 in 4."""
    references, wrong = [["a"]] * 3, [["x"]] * 3
    assert matched_pairs(references, wrong, references).p == pytest.approx(0.25)
    assert matched_pairs(references[:1], wrong[:1], references[:1]).p == 1.0


def test_signs_say_who_is_better() -> None:
    worse = [ErrorCounts(2, 0, 0, 10)] * 10 + [ErrorCounts(3, 0, 0, 10)] * 10
    better = [ErrorCounts(1, 0, 0, 10)] * 20
    found = paired_bootstrap(worse, better)
    assert found.difference == pytest.approx(-0.15)
    assert found.interval.high < 0
    assert (found.better, found.p < 0.005) == (1.0, True)
    back = paired_bootstrap(better, worse)
    assert (back.difference, back.better) == (pytest.approx(0.15), 0.0)
    with pytest.raises(ValueError, match="no utterance has a reference"):
        paired_bootstrap([ErrorCounts()], [ErrorCounts()])


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
