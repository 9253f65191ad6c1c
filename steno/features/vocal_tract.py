"""Vocal tract length perturbation: frequencies stretched, as if by a speaker with a shorter or a longer vocal tract.

Source: Jaitly and Hinton, "Vocal Tract Length Perturbation (VTLP) improves speech recognition", ICML workshop, 2013.
"""

import torch
from torch import Tensor

from steno.features.config import FeatureConfig
from steno.features.mel import mel_centres

_KNEE = 0.6
"""Up to so much of the highest frequency all is stretched alike; above, less and less, so that it stays the highest."""


def stretched(features_btf: Tensor, uniform_b: Tensor, most: float, config: FeatureConfig) -> Tensor:
    """Log-mel features as they would be with other vocal tracts.

    Args:
        features_btf: features (B, T, F).
        uniform_b: numbers in [0, 1), (B,), which decide the factors.
        most: factors lie evenly between 1 - ``most`` and 1 + ``most``.
        config: of the features.

    Returns:
        Features (B, T, F), interpolated between the filters that hear the stretched frequencies.
    """
    centres = mel_centres(config.n_mels, config.f_min, config.highest, config.mel_scale)
    hz_f = torch.tensor(centres, dtype=torch.float32, device=features_btf.device)
    factor_b1 = (1 + most * (2 * uniform_b - 1))[:, None]
    top = config.highest
    slope_b1 = (top - _KNEE * top * factor_b1) / (top - _KNEE * top)
    hz_bf = torch.where(hz_f <= _KNEE * top, hz_f * factor_b1, top - slope_b1 * (top - hz_f))
    upper_bf = torch.searchsorted(hz_f, hz_bf.contiguous()).clamp(1, len(hz_f) - 1)
    below_bf, above_bf = hz_f[upper_bf - 1], hz_f[upper_bf]
    share_b1f = ((hz_bf - below_bf) / (above_bf - below_bf)).clamp(0, 1)[:, None]
    time = features_btf.shape[1]
    lower_btf = features_btf.gather(2, (upper_bf - 1)[:, None].expand(-1, time, -1))
    higher_btf = features_btf.gather(2, upper_bf[:, None].expand(-1, time, -1))
    return torch.lerp(lower_btf, higher_btf, share_b1f.to(features_btf.dtype).expand_as(lower_btf))
