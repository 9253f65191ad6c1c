"""Batches hold every utterance once, stay within both bounds, and depend on seed and pass alone."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steno.data.batching import group_sorted, plan_batches, share

DURATIONS = st.lists(st.floats(0.125, 40, width=32), min_size=1, max_size=80)


def plan(durations: list[float], seconds: float, size: int, seed: int = 0, number: int = 0) -> list[list[int]]:
    """Batches over the even indices only, as a limit or a filter leaves them."""
    batches = plan_batches(
        np.array(durations, dtype=np.float32),
        np.arange(0, len(durations), 2),
        batch_seconds=seconds,
        batch_size=size,
        seed=seed,
        number=number,
    )
    return [batch.tolist() for batch in batches]


@settings(deadline=None)
@given(durations=DURATIONS, seconds=st.floats(0.5, 100), size=st.integers(1, 20), number=st.integers(0, 5))
def test_each_once_and_within_both_bounds(durations: list[float], seconds: float, size: int, number: int) -> None:
    batches = plan(durations, seconds, size, number=number)
    assert sorted(index for batch in batches for index in batch) == list(range(0, len(durations), 2))
    for batch in batches:
        assert 1 <= len(batch) <= size
        padded = len(batch) * max(durations[index] for index in batch)
        assert padded <= seconds * (1 + 1e-6) or len(batch) == 1


def test_seed_and_pass_decide() -> None:
    durations = np.random.default_rng(0).uniform(1, 20, 200).tolist()
    assert plan(durations, 60, 8, seed=1, number=2) == plan(durations, 60, 8, seed=1, number=2)
    assert plan(durations, 60, 8, seed=1, number=2) != plan(durations, 60, 8, seed=1, number=3)
    assert plan(durations, 60, 8, seed=1, number=2) != plan(durations, 60, 8, seed=2, number=2)
    first = {frozenset(batch) for batch in plan(durations, 60, 8, number=0)}
    second = {frozenset(batch) for batch in plan(durations, 60, 8, number=1)}
    assert first != second  # other batches, not only another order


def test_like_lengths_share_a_batch() -> None:
    durations = np.random.default_rng(0).uniform(1, 20, 1000)
    batches = plan(durations.tolist(), 120, 64)
    padded = sum(len(batch) * durations[batch].max() for batch in batches)
    assert durations[::2].sum() / padded > 0.9


def test_a_recording_that_is_too_long_goes_alone() -> None:
    durations = np.array([1, 1, 50, 1], dtype=np.float32)
    groups = group_sorted(durations, np.array([0, 1, 3, 2]), 10, 8)
    assert [group.tolist() for group in groups] == [[0, 1, 3], [2]]
    groups = group_sorted(durations, np.array([2, 0, 1, 3]), 10, 8)
    assert [group.tolist() for group in groups] == [[2], [0, 1, 3]]


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_shares_partition_a_batch(world: int) -> None:
    batch = np.arange(100, 107)
    shares = [share(batch, rank, world).tolist() for rank in range(world)]
    assert sorted(index for part in shares for index in part) == batch.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_short_first_goes_from_short_to_long() -> None:
    durations = np.random.default_rng(0).uniform(1, 20, 200).astype(np.float32)
    batches = plan_batches(durations, np.arange(200), batch_seconds=60, batch_size=8, seed=1, number=0, by_length=True)
    longest = [float(durations[batch].max()) for batch in batches]
    # The jitter that makes other batches each epoch is of 2 % either way.
    assert all(b > 0.95 * a for a, b in pairwise(longest))
    assert sorted(np.concatenate(batches).tolist()) == list(range(200))
