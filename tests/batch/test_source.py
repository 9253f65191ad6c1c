"""How a source is cut into parts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steno.batch import source
from steno.batch.source import cut


@given(
    st.lists(st.floats(0.5, 4000, allow_nan=False), min_size=1, max_size=300),
    st.floats(1, 5000, allow_nan=False),
)
def test_parts_are_neighbours_and_hold_everything_once(costs: list[float], least: float) -> None:
    bounds = cut(np.array(costs), least)
    assert bounds[0] == 0
    assert bounds[-1] == len(costs)
    assert all(start < end for start, end in pairwise(bounds))
    # A part holds what its beginnings' distance allows, and its last recording may reach over that.
    for start, end in pairwise(bounds):
        assert sum(costs[start : end - 1]) <= least + 1e-6 * sum(costs)


def test_a_great_source_has_larger_parts_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_PARTS", 10)
    assert len(cut(np.ones(1000), 1.0)) - 1 == 10
    assert len(cut(np.ones(5), 1.0)) - 1 == 5
