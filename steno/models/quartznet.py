"""``quartznet``: blocks of time-channel separable 1-D convolutions, each with a residual connection.

Source: Kriman et al., "QuartzNet: Deep Automatic Speech Recognition with 1D Time-Channel Separable Convolutions",
ICASSP 2020. Cannot stream.
"""

from torch import nn

from steno.models.config import QuartzNetConfig
from steno.models.time_convolution import TimeConvolution, half


class QuartzNet(TimeConvolution):
    """Features to CTC logits."""

    def __init__(self, features: int, labels: int, config: QuartzNetConfig) -> None:
        super().__init__(features, labels, config, _separable, dense=False)


def _separable(channels_in: int, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Module:
    """Over time each channel by itself, then over the channels each frame by itself."""
    padding = half(kernel, dilation)
    return nn.Sequential(
        nn.Conv1d(channels_in, channels_in, kernel, stride, padding, dilation, groups=channels_in, bias=False),
        nn.Conv1d(channels_in, channels, 1, bias=False),
    )
