"""The interval covers the truth about as often as it says."""

import numpy as np
import pytest

from steno.evaluation.bootstrap import bootstrap_interval, group_counts, speaker_interval
from steno.evaluation.score import score
from steno.evaluation.wer import ErrorCounts


def corpus(generator: np.random.Generator, utterances: int) -> list[ErrorCounts]:
    """Utterances of 5 to 30 words; each has an error rate of its own, 20 % on average, whatever its length."""
    words = generator.integers(5, 31, utterances)
    errors = generator.binomial(words, generator.beta(1, 4, utterances))
    return [ErrorCounts(int(e), 0, 0, int(w)) for e, w in zip(errors, words, strict=True)]


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_it_covers_the_truth_at_its_stated_rate(confidence: float) -> None:
    generator = np.random.default_rng(0)
    intervals = [bootstrap_interval(corpus(generator, 150), confidence, 500, seed) for seed in range(400)]
    covered = np.mean([interval.low <= 0.2 <= interval.high for interval in intervals])
    assert covered == pytest.approx(confidence, abs=0.04)


def test_it_covers_the_truth_for_few_utterances_too() -> None:
    generator = np.random.default_rng(5)
    intervals = [bootstrap_interval(corpus(generator, 15), 0.95, 500, seed) for seed in range(400)]
    covered = np.mean([interval.low <= 0.2 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.045)


def by_speakers(generator: np.random.Generator, speakers: int) -> tuple[list[ErrorCounts], list[str]]:
    """Fifteen utterances of each speaker, who has an error rate of their own, 20 % on average."""
    counts: list[ErrorCounts] = []
    names: list[str] = []
    for speaker, rate in enumerate(generator.beta(4, 16, speakers)):
        words = generator.integers(5, 31, 15)
        counts += [
            ErrorCounts(int(e), 0, 0, int(w)) for e, w in zip(generator.binomial(words, rate), words, strict=True)
        ]
        names += [f"s{speaker}"] * 15
    return counts, names


@pytest.mark.parametrize("speakers", [10, 25])
def test_by_speaker_it_covers_the_truth_where_by_utterance_it_does_not(speakers: int) -> None:
    generator = np.random.default_rng(3)
    by_speaker, by_utterance = [], []
    for _ in range(300):
        counts, names = by_speakers(generator, speakers)
        by_speaker.append(speaker_interval(counts, names, samples=500).interval)
        by_utterance.append(bootstrap_interval(counts, samples=200))
    covered, too_narrow = (
        np.mean([each is not None and each.low <= 0.2 <= each.high for each in intervals])
        for intervals in (by_speaker, by_utterance)
    )
    assert covered == pytest.approx(0.95, abs=0.045)
    assert too_narrow < 0.75


def test_by_speaker_it_says_why_there_is_none() -> None:
    counts, names = by_speakers(np.random.default_rng(4), 12)
    assert speaker_interval(counts, names).note == ""
    few = speaker_interval(counts[:60], names[:60])
    assert (few.speakers, few.note) == (4, "rough: 4 speakers only")
    assert few.interval is not None
    for speakers, note in (
        ([None] * len(counts), "the manifest names no speakers"),
        ([None, *names[1:]], "1 utterances have no speaker"),
        (["one"] * len(counts), "there is one speaker only"),
    ):
        found = speaker_interval(counts, speakers)
        assert (found.interval, found.note) == (None, note)


def test_groups_are_totals_in_order() -> None:
    one = ErrorCounts(1, 2, 3, 4)
    assert group_counts([one, ErrorCounts(), one], ["b", "a", "b"]) == [ErrorCounts(2, 4, 6, 8), ErrorCounts()]


def test_more_utterances_make_it_narrower() -> None:
    generator = np.random.default_rng(1)
    few, many = (bootstrap_interval(corpus(generator, count)) for count in (50, 5000))
    assert (few.high - few.low) > 5 * (many.high - many.low)


def test_the_seed_decides() -> None:
    counts = corpus(np.random.default_rng(2), 60)
    assert bootstrap_interval(counts) == bootstrap_interval(counts)
    assert bootstrap_interval(counts) != bootstrap_interval(counts, seed=1)


def test_edges() -> None:
    assert bootstrap_interval([ErrorCounts(0, 0, 0, 5)] * 3).high == 0
    one = bootstrap_interval([ErrorCounts(1, 0, 0, 4)])
    assert one.low == one.high == pytest.approx(0.25)
    # Draws that hold no reference at all have no rate, and are left out.
    mixed = bootstrap_interval([ErrorCounts(0, 0, 2, 0), ErrorCounts(1, 0, 0, 2)])
    assert np.isfinite([mixed.low, mixed.high]).all()
    for nothing in ([], [ErrorCounts(0, 0, 3, 0)]):
        with pytest.raises(ValueError, match="no utterance has a reference"):
            bootstrap_interval(nothing)


def test_scores_for_json() -> None:
    scores = score([("one", "a b", "a c"), ("two", "c d e", "c d e")])
    report = scores.to_dict()
    assert report["utterances"] == 2
    assert report["wer"] == pytest.approx(0.2)
    assert report["words"] == {"substitutions": 1, "deletions": 0, "insertions": 0, "reference": 5}
    assert report["wer_interval_95"]["low"] <= 0.2 <= report["wer_interval_95"]["high"]
    assert report["results"][0] == {"id": "one", "reference": "a b", "hypothesis": "a c", "wer": 0.5}
