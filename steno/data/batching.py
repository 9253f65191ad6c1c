"""Which utterances make which batch: of like duration, bounded in padded seconds, decided by a seed alone."""

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def plan_batches(
    durations: npt.NDArray[np.float32],
    indices: Indices,
    *,
    batch_seconds: float,
    batch_size: int,
    seed: int,
    epoch: int,
    by_length: bool = False,
) -> list[Indices]:
    """Batches of one epoch; every index stands in exactly one of them.

    Utterances are sorted by a duration that is jittered by up to 5 %, so that each epoch makes other batches;
    each batch takes neighbours while ``longest × count`` stays within ``batch_seconds`` (a single utterance is
    always taken) and ``count`` within ``batch_size``; the batches are shuffled, or with ``by_length`` go from
    short to long.
    """
    generator = np.random.default_rng([seed, epoch])
    jittered = durations[indices] * generator.uniform(0.95, 1.05, len(indices))
    batches = group_sorted(durations, indices[np.argsort(jittered, kind="stable")], batch_seconds, batch_size)
    return batches if by_length else [batches[i] for i in generator.permutation(len(batches))]


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
