"""Forced alignment against every path there is."""

from itertools import product

import numpy as np
import pytest

from steno.decoding.align import forced_alignment, misfit
from steno.decoding.greedy import collapse
from steno.errors import DecodingError


def random_emission(frames: int, labels: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(frames, labels)) * 2
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


@pytest.mark.parametrize("labels", [[1], [1, 2], [1, 1], [2, 1, 2], [1, 1, 2]])
@pytest.mark.parametrize("frames", [5, 6])
def test_it_is_the_best_of_all_paths(labels: list[int], frames: int) -> None:
    emission = random_emission(frames, 3, seed=frames * 10 + len(labels))
    paths = [path for path in product(range(3), repeat=frames) if collapse(np.array(path)) == labels]
    scores = [sum(float(emission[t, label]) for t, label in enumerate(path)) for path in paths]
    found = forced_alignment(emission, labels)
    assert tuple(found.path_t) == paths[int(np.argmax(scores))]
    assert found.score == pytest.approx(max(scores), rel=1e-5)


def test_a_long_one_spells_its_labels() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(1, 5, size=300).tolist()
    emission = random_emission(1500, 5, seed=4)
    assert collapse(forced_alignment(emission, labels).path_t) == labels


@pytest.mark.parametrize("frames", [40, 4000])
def test_a_path_that_says_what_the_emission_does_has_no_misfit_and_one_without_sense_a_great_one(frames: int) -> None:
    emission = random_emission(frames, 5, seed=5)
    heard = emission.argmax(axis=1)
    assert misfit(emission, heard) == 0
    labels = np.random.default_rng(6).integers(1, 5, size=frames // 3).tolist()
    found = misfit(emission, forced_alignment(emission, labels).path_t)
    assert found is not None
    assert 0.8 < found <= 1


def test_the_same_backwards_has_no_misfit_that_could_be_told() -> None:
    emission = random_emission(12, 4, seed=7)
    for labels in ([1], [1, 2, 1]):
        assert misfit(emission, forced_alignment(emission, labels).path_t) is None
    assert misfit(emission, np.zeros(12, dtype=np.int64)) is None


def test_just_enough_frames() -> None:
    assert forced_alignment(random_emission(5, 3, 1), [1, 1, 2, 2][:3]).path_t.tolist()[-1] in (0, 2)
    assert forced_alignment(random_emission(4, 3, 1), [1, 1, 2]).path_t.tolist() == [1, 0, 1, 2]


def test_too_few_frames_and_no_text_are_refused() -> None:
    with pytest.raises(DecodingError, match="needs 4 frames, the recording has 3"):
        forced_alignment(random_emission(3, 3, 1), [1, 1, 2])
    with pytest.raises(DecodingError, match="empty"):
        forced_alignment(random_emission(3, 3, 1), [])
