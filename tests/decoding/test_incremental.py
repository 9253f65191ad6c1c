"""Greedy decoding piece by piece is greedy decoding of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steno.decoding.config import CalibrationConfig
from steno.decoding.greedy import GreedyDecoder
from steno.decoding.incremental import IncrementalGreedy
from steno.decoding.words import transcript

CHARACTERS = ["<blank>", " ", "a", "b"]
PIECES = ["<blank>", "\u2581", "\u2581a", "b", "\u2581ab"]


def emission(seed: int, frames: int) -> np.ndarray:
    """Log-probabilities whose best labels come in runs."""
    generator = np.random.default_rng(seed)
    path = np.repeat(generator.integers(0, 4, frames), generator.integers(1, 4, frames))[:frames]
    logits = generator.random((frames, 4)) + 2.0 * np.eye(4)[path]
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


@settings(deadline=None)
@given(st.integers(0, 999), st.lists(st.integers(0, 9), max_size=12), st.sampled_from([CHARACTERS, PIECES]))
def test_any_cutting_gives_the_whole(seed: int, cuts: list[int], tokens: list[str]) -> None:
    whole = emission(seed, sum(cuts))
    calibration = CalibrationConfig(slope=0.7, offset=0.3)
    decoder = IncrementalGreedy(tokens, 0.04, calibration)
    decoder.reset(3.0)
    for piece in np.split(whole, np.cumsum(cuts)[:-1]) if cuts else []:
        decoder.push(piece)
        decoder.partial()
    expected = transcript(GreedyDecoder().decode(whole), whole, tokens, 0.04, calibration, offset=3.0)
    found = decoder.finish()
    assert (found.text, found.words) == (expected.text, expected.words)
    assert found.score == pytest.approx(expected.score, abs=1e-3)


def test_reset_begins_anew() -> None:
    decoder = IncrementalGreedy(CHARACTERS, 0.5)
    decoder.push(np.log(np.array([[0.1, 0.1, 0.7, 0.1]], np.float32)))
    assert decoder.partial().text == "a"
    decoder.reset(10.0)
    assert decoder.finish().text == ""
    decoder.push(np.log(np.array([[0.1, 0.1, 0.7, 0.1]], np.float32)))
    (word,) = decoder.finish().words
    assert (word.text, word.start, word.end) == ("a", 10.0, 10.5)
