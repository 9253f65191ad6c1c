"""Tokens and words on a path, and transcripts of hypotheses."""

import math

import numpy as np
import pytest

from steno.decoding.config import CalibrationConfig
from steno.decoding.greedy import GreedyDecoder
from steno.decoding.path import Hypothesis, runs, words_of
from steno.decoding.words import calibrated, transcript

TOKENS = ["<blank>", " ", "a", "b"]


def emission(path: list[int], certain: float = 0.9) -> np.ndarray:
    """Log-probabilities (T, 4) whose best path is this one."""
    rest = (1 - certain) / 3
    return np.log(np.array([[certain if label == best else rest for label in range(4)] for best in path], np.float32))


def test_runs_merge_repeats_and_drop_blanks() -> None:
    path = [0, 2, 2, 0, 2, 3, 1, 1, 3, 0]
    found = runs(np.array(path), emission(path))
    assert [(run.label, run.first, run.end) for run in found] == [
        (2, 1, 3),
        (2, 4, 5),
        (3, 5, 6),
        (1, 6, 8),
        (3, 8, 9),
    ]
    assert all(run.log_prob == pytest.approx(math.log(0.9)) for run in found)
    assert runs(np.zeros(0, np.int64), np.zeros((0, 4), np.float32)) == []


def test_words_have_the_times_of_their_characters() -> None:
    path = [0, 2, 2, 0, 3, 1, 0, 3, 3, 0]
    words = words_of(runs(np.array(path), emission(path)), TOKENS, 0.04, offset=10.0)
    assert [word.text for word in words] == ["ab", "b"]
    assert [(word.start, word.end) for word in words] == [
        (pytest.approx(10.04), pytest.approx(10.20)),
        (pytest.approx(10.28), pytest.approx(10.36)),
    ]
    assert [(token.text, round(token.start, 2)) for token in words[0].tokens] == [("a", 10.04), ("b", 10.16)]


def test_spaces_at_the_edges_and_doubled_make_no_words() -> None:
    path = [1, 2, 1, 0, 1, 3, 1]
    assert [w.text for w in words_of(runs(np.array(path), emission(path)), TOKENS, 0.04)] == ["a", "b"]


def test_word_pieces_begin_words_at_their_mark() -> None:
    tokens = ["<blank>", "\u2581th", "e", "\u2581", "cat"]
    path = np.array([1, 2, 3, 4, 1])
    words = words_of(runs(path, np.zeros((5, 5), np.float32)), tokens, 0.04)
    assert [word.text for word in words] == ["the", "cat", "th"]


def test_confidence_is_the_geometric_mean_of_the_best_frames() -> None:
    log_probs = np.log(np.array([[0.1, 0.1, 0.7, 0.1], [0.05, 0.05, 0.85, 0.05], [0.4, 0.1, 0.1, 0.4]], np.float32))
    (word,) = words_of(runs(np.array([2, 2, 3]), log_probs), TOKENS, 0.04)
    assert word.confidence == pytest.approx(math.sqrt(0.85 * 0.4))


def test_transcript_lists_other_hypotheses_once() -> None:
    path = [2, 0, 1, 3]
    hypotheses = [
        Hypothesis(np.array(path), -1.0),
        Hypothesis(np.array([2, 2, 1, 3]), -1.5),
        Hypothesis(np.array([3, 0, 1, 3]), -2.0),
        Hypothesis(np.array([0, 0, 0, 3]), -3.0),
    ]
    found = transcript(hypotheses, emission(path), TOKENS, 0.04, nbest=2)
    assert found.text == "a b"
    assert [(other.text, other.score) for other in found.alternatives] == [("a b", -1.0), ("b b", -2.0)]
    assert transcript(hypotheses, emission(path), TOKENS, 0.04).alternatives == ()


def test_calibration_keeps_the_order_and_the_range() -> None:
    settings = CalibrationConfig(slope=0.5, offset=-1.0)
    values = [calibrated(raw, settings) for raw in (0.0, 0.2, 0.5, 0.9, 1.0)]
    assert values == sorted(values)
    assert all(0 < value < 1 for value in values)
    assert calibrated(0.3, CalibrationConfig()) == pytest.approx(0.3)
    assert calibrated(0.0, CalibrationConfig(slope=1000.0)) == pytest.approx(0.0)
    path = [2, 1, 3]
    plain = transcript(GreedyDecoder().decode(emission(path)), emission(path), TOKENS, 0.04)
    lowered = transcript(GreedyDecoder().decode(emission(path)), emission(path), TOKENS, 0.04, settings)
    assert [w.confidence for w in lowered.words] == [
        pytest.approx(calibrated(w.confidence, settings)) for w in plain.words
    ]


def test_nothing_heard_is_an_empty_transcript() -> None:
    nothing = transcript(GreedyDecoder().decode(emission([0, 0])), emission([0, 0]), TOKENS, 0.04)
    assert (nothing.text, nothing.words, nothing.confidence) == ("", (), None)
