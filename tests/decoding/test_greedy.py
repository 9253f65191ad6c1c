"""Greedy decoding merges repeats, then drops blanks."""

import numpy as np
import pytest

from steno.decoding.greedy import collapse, greedy_labels


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ([], []),
        ([0, 0, 0], []),
        ([1], [1]),
        ([1, 1, 1], [1]),
        ([1, 0, 1], [1, 1]),
        ([0, 1, 1, 0, 0, 2, 2, 1, 0], [1, 2, 1]),
        ([2, 1, 2], [2, 1, 2]),
    ],
)
def test_collapse(path: list[int], labels: list[int]) -> None:
    assert collapse(np.array(path, dtype=np.int64)) == labels


def test_the_best_label_of_each_frame() -> None:
    emission = np.log(np.array([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.5, 0.4], [0.1, 0.2, 0.7]], np.float32))
    assert greedy_labels(emission) == [1, 1, 2]
    assert greedy_labels(np.zeros((0, 3), np.float32)) == []
