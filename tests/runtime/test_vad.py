"""Long recordings are cut at their silences."""

import numpy as np
import pytest
import tiny

from steno.runtime.vad import FrameVad, Segmenter, segments

RATE = tiny.RATE


def talk(seconds: float, seed: int) -> np.ndarray:
    """A noise whose loudness goes up and down as speech does, with formants, so that the detector takes it for it."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * time + generator.uniform(0, 6)) / k for k in range(1, 25))
    return (0.1 * voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return (1e-5 * np.random.default_rng(0).standard_normal(int(seconds * RATE))).astype(np.float32)


def test_the_detector_hears_the_difference() -> None:
    vad = FrameVad(RATE)
    assert vad.frames(talk(2.0, 1)).mean() > 0.8
    assert vad.frames(silence(2.0))[10:].mean() < 0.2
    with pytest.raises(ValueError, match="11025"):
        FrameVad(11_025)


def test_cuts_lie_in_silences_and_nothing_spoken_is_lost() -> None:
    parts = [talk(6, 1), silence(0.8), talk(6, 2), silence(0.8), talk(6, 3), silence(0.8), talk(3, 4)]
    recording = np.concatenate(parts)
    found = list(segments([recording], RATE, longest=10))
    assert len(found) >= 3
    np.testing.assert_array_equal(np.concatenate([samples for _, samples in found]), recording)
    assert [start for start, _ in found] == np.cumsum([0] + [len(samples) for _, samples in found])[:-1].tolist()
    assert max(len(samples) for _, samples in found) <= 10 * RATE
    for start, _ in found[1:]:
        assert np.abs(recording[start - 800 : start + 800]).max() < 0.001, "cut in the middle of speech"


@pytest.mark.parametrize("size", [160, 4001, 100_000])
def test_blocks_do_not_matter(size: int) -> None:
    recording = np.concatenate([talk(6, 1), silence(0.6), talk(8, 2), silence(0.6), talk(4, 3)])
    whole = list(segments([recording], RATE, longest=10))
    pieces = list(segments((recording[i : i + size] for i in range(0, len(recording), size)), RATE, longest=10))
    assert [(start, len(samples)) for start, samples in pieces] == [(start, len(samples)) for start, samples in whole]


def test_without_a_silence_a_segment_still_ends() -> None:
    found = list(segments([talk(35, 1)], RATE, longest=10))
    assert len(found) >= 4
    assert max(len(samples) for _, samples in found) <= 10 * RATE
    assert sum(len(samples) for _, samples in found) == 35 * RATE


def test_a_long_silence_is_left_out() -> None:
    recording = np.concatenate([talk(4, 1), silence(40), talk(4, 2)])
    found = list(segments([recording], RATE, longest=10))
    assert sum(len(samples) for _, samples in found) < 30 * RATE
    segmenter = Segmenter(RATE)
    assert segmenter.push(np.zeros(0, np.float32)) == []
    assert segmenter.finish() == []
