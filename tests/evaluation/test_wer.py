"""Counts are jiwer's, rates are those of the sums."""

import jiwer
import numpy as np
import pytest

from steno.evaluation.score import score
from steno.evaluation.wer import ErrorCounts, char_errors, count_errors, total, word_errors


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """References of few words, and hypotheses that are them with edits, or something else altogether."""
    generator = np.random.default_rng(seed)
    vocabulary = np.array(["a", "an", "ant", "tan", "bee", "be", "see", "sea", "the", "them"])

    def phrase(least: int) -> list[str]:
        return list(generator.choice(vocabulary, generator.integers(least, 12)))

    found = []
    for _ in range(count):
        reference = phrase(1)
        hypothesis = phrase(0)
        if generator.random() < 0.7:
            hypothesis = [word for word in reference if generator.random() > 0.2]
            for place in range(len(hypothesis)):
                if generator.random() < 0.2:
                    hypothesis[place] = str(generator.choice(vocabulary))
            hypothesis[generator.integers(0, len(hypothesis) + 1) :] += phrase(0)[:2]
        found.append((" ".join(reference), " ".join(hypothesis)))
    return found


def test_counts_are_jiwers_on_a_thousand_pairs() -> None:
    for reference, hypothesis in pairs(1000, seed=0):
        for ours, theirs in (
            (word_errors(reference, hypothesis), jiwer.process_words(reference, hypothesis)),
            (char_errors(reference, hypothesis), jiwer.process_characters(reference, hypothesis)),
        ):
            expected = (theirs.substitutions, theirs.deletions, theirs.insertions)
            assert (ours.substitutions, ours.deletions, ours.insertions) == expected
            assert ours.reference == theirs.hits + theirs.substitutions + theirs.deletions


def test_corpus_rates_are_jiwers() -> None:
    references, hypotheses = zip(*pairs(300, seed=1), strict=True)
    scores = score((str(n), r, h) for n, (r, h) in enumerate(zip(references, hypotheses, strict=True)))
    assert scores.wer == pytest.approx(jiwer.wer(list(references), list(hypotheses)))
    assert scores.cer == pytest.approx(jiwer.cer(list(references), list(hypotheses)))


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts", "rate"),
    [
        ("", "", (0, 0, 0, 0), 0.0),
        ("", "a b", (0, 0, 2, 0), float("inf")),
        ("a b", "", (0, 2, 0, 2), 1.0),
        ("a b c", "a b c", (0, 0, 0, 3), 0.0),
        ("a  b ", "a b", (0, 0, 0, 2), 0.0),
        ("a", "b c d", (1, 0, 2, 1), 3.0),
    ],
)
def test_edges(reference: str, hypothesis: str, counts: tuple[int, ...], rate: float) -> None:
    found = word_errors(reference, hypothesis)
    assert (found.substitutions, found.deletions, found.insertions, found.reference) == counts
    assert found.rate == rate


def test_a_total_is_of_sums_not_of_rates() -> None:
    both = total([ErrorCounts(1, 0, 0, 1), ErrorCounts(0, 0, 0, 9)])
    assert both == ErrorCounts(1, 0, 0, 10)
    assert both.rate == pytest.approx(0.1)
    assert total([]) == ErrorCounts()


def test_any_tokens_can_be_counted() -> None:
    assert count_errors([1, 2, 3], [1, 3]) == ErrorCounts(0, 1, 0, 3)
