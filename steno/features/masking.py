"""SpecAugment: stripes of features and of time are set to zero, the corpus mean."""

import torch
from torch import Tensor

from steno.features.config import MaskConfig


def apply_masks(features_btf: Tensor, frames_b: Tensor, uniform_bk: Tensor, config: MaskConfig) -> Tensor:
    """Mask a batch of normalised features.

    Args:
        features_btf: features (B, T, F).
        frames_b: frames of each utterance (B,).
        uniform_bk: numbers in [0, 1), (B, ``config.draws``), which alone decide where each utterance's masks lie.
        config: number and widths of the masks.

    Returns:
        Features (B, T, F).
    """
    _, time, size = features_btf.shape
    width_bk, start_bk = uniform_bk.chunk(2, dim=1)
    split = config.frequency_masks
    sizes_b1 = torch.full_like(frames_b, size)[:, None]
    widest_b1 = (frames_b * config.time_width).floor().clamp(max=config.time_frames)[:, None]
    highest_b1 = (sizes_b1 * config.frequency_width).floor()
    kept_bf = _outside(size, sizes_b1, highest_b1, width_bk[:, :split], start_bk[:, :split])
    kept_bt = _outside(time, frames_b[:, None], widest_b1, width_bk[:, split:], start_bk[:, split:])
    return features_btf * kept_bf[:, None, :] * kept_bt[:, :, None]


def _outside(length: int, sizes_b1: Tensor, widest_b1: Tensor, width_bk: Tensor, start_bk: Tensor) -> Tensor:
    """Whether each of ``length`` positions lies outside all stripes: (B, length)."""
    widths_bk = (width_bk * (widest_b1 + 1)).floor()
    starts_bk = (start_bk * (sizes_b1 - widths_bk + 1)).floor()
    position_n = torch.arange(length, device=width_bk.device)
    inside_bkn = (position_n >= starts_bk[..., None]) & (position_n < (starts_bk + widths_bk)[..., None])
    return ~inside_bkn.any(dim=1)
