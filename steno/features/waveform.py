"""The front-end of models that make features of their own: samples in, samples out, brought to one level."""

import torch
from torch import Tensor, nn

from steno.features.config import FeatureConfig
from steno.features.frontend import FrontEnd

_LEAST_VARIANCE = 1e-7
"""Added to the variance of the samples, as wav2vec 2.0 was trained with."""


class Waveform(FrontEnd):
    """Samples as features of size 1: a frame is a sample. There are no statistics of a corpus."""

    def __init__(self, config: FeatureConfig) -> None:
        nn.Module.__init__(self)
        self.config = config

    def forward(self, samples_bn: Tensor, lengths_b: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, N) and their lengths (B,) → (B, N, 1), zero beyond each utterance, and the lengths."""
        inside_bn = torch.arange(samples_bn.shape[1], device=lengths_b.device) < lengths_b[:, None]
        x_bn = samples_bn * inside_bn
        if self.config.normalize == "utterance":
            count_b1 = lengths_b[:, None]
            x_bn = (x_bn - x_bn.sum(dim=1, keepdim=True) / count_b1) * inside_bn
            variance_b1 = x_bn.square().sum(dim=1, keepdim=True) / count_b1
            x_bn = x_bn / (variance_b1 + _LEAST_VARIANCE).sqrt()
        return x_bn[..., None], lengths_b

    def frames(self, lengths_b: Tensor) -> Tensor:
        """As many as samples."""
        return lengths_b
