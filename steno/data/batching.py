"""Which utterances make which batch: of like duration, bounded in padded seconds, decided by a seed alone."""

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

JITTER = 0.02
"""By how much of itself a duration is moved at most before sorting."""
WINDOW = 8
"""Shards whose utterances are mixed, unless the recipe says otherwise."""


def plan_batches(
    durations: npt.NDArray[np.float32],
    indices: Indices,
    *,
    batch_seconds: float,
    batch_size: int,
    seed: int,
    number: int,
    by_length: bool = False,
    shard_starts: Indices | None = None,
    window: int = WINDOW,
) -> list[Indices]:
    """Batches of one pass through the data; every index stands in exactly one of them.

    Utterances are sorted by a duration that is jittered by up to 2 %, so that each pass makes other batches;
    each batch takes neighbours while ``longest × count`` stays within ``batch_seconds`` (a single utterance is
    always taken) and ``count`` within ``batch_size``; the batches are shuffled, or with ``by_length`` go from
    short to long.

    Of a sharded corpus, ``shard_starts`` (shards + 1,), the shards are shuffled, and so many of them at a time are
    batched in this way: a pass goes through the shards once. Then ``indices`` must be ascending. With ``by_length``
    it cannot: each batch may come from any shard.
    """
    generator = np.random.default_rng([seed, number])
    groups = [indices]
    if shard_starts is not None and not by_length:
        groups = _windows(indices, shard_starts, window, generator)
    batches: list[Indices] = []
    for group in groups:
        jittered = durations[group] * generator.uniform(1 - JITTER, 1 + JITTER, len(group))
        found = group_sorted(durations, group[np.argsort(jittered, kind="stable")], batch_seconds, batch_size)
        batches += found if by_length else [found[i] for i in generator.permutation(len(found))]
    return batches


def _windows(indices: Indices, shard_starts: Indices, window: int, generator: np.random.Generator) -> list[Indices]:
    """The indices of so many shards at a time, in a random order of the shards."""
    order = generator.permutation(len(shard_starts) - 1)
    cuts = np.searchsorted(indices, shard_starts)
    groups = (order[start : start + window] for start in range(0, len(order), window))
    windows = (np.concatenate([indices[cuts[s] : cuts[s + 1]] for s in group]) for group in groups)
    return [indices_of_window for indices_of_window in windows if len(indices_of_window)]


def group_sorted(
    durations: npt.NDArray[np.float32], order: Indices, batch_seconds: float, batch_size: int
) -> list[Indices]:
    """Cut an order of indices into batches that stay within both bounds."""
    batches: list[Indices] = []
    start, longest = 0, 0.0
    for position, duration in enumerate(durations[order].tolist()):
        longest = max(longest, duration)
        count = position - start + 1
        if count > 1 and (count > batch_size or count * longest > batch_seconds):
            batches.append(order[start:position])
            start, longest = position, duration
    if start < len(order):
        batches.append(order[start:])
    return batches


def share(batch: Indices, rank: int, world_size: int) -> Indices:
    """The part of a global batch that one of several processes takes."""
    return batch[rank::world_size]
