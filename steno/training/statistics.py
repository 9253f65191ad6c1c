"""The corpus's mean and standard deviation of each feature, for the front-end's normalisation."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from steno.data.batching import Indices
from steno.data.loading import Batch
from steno.features.frontend import FrontEnd

MOST_HOURS = 0.5
"""Audio that the statistics are taken from, at most: more changes the third digit."""


def sample_indices(durations: np.ndarray, indices: Indices, seed: int) -> Indices:
    """Random utterances that hold about :data:`MOST_HOURS` of audio together."""
    drawn = np.random.default_rng([seed, 7]).permutation(indices)
    hours = np.cumsum(durations[drawn], dtype=np.float64) / 3600
    return drawn[: max(1, int(np.searchsorted(hours, MOST_HOURS)))]


@torch.inference_mode()
def corpus_statistics(frontend: FrontEnd, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (F,) of the front-end's features over all frames of the batches."""
    size = frontend.config.size
    count, total_f, squares_f = 0, torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    for batch in batches:
        if not len(batch.indices_b):
            continue
        features_btf, frames_b = frontend(batch.samples_bn, batch.lengths_b)
        inside_bt = torch.arange(features_btf.shape[1]) < frames_b[:, None]
        features_nf = features_btf[inside_bt].double()
        features_nf = features_nf[features_nf.isfinite().all(dim=1)]
        count += len(features_nf)
        total_f += features_nf.sum(dim=0)
        squares_f += features_nf.square().sum(dim=0)
    mean_f = total_f / max(count, 1)
    variance_f = (squares_f / max(count, 1) - mean_f.square()).clamp(min=0)
    return mean_f.float(), variance_f.sqrt().float()
