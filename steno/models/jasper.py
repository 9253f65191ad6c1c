"""``jasper``: blocks of 1-D convolutions; each block also adds what all earlier blocks gave (dense residual).

Source: Li et al., "Jasper: An End-to-End Convolutional Neural Acoustic Model", Interspeech 2019. Cannot stream.
"""

from torch import nn

from steno.models.config import JasperConfig
from steno.models.time_convolution import TimeConvolution, half


class Jasper(TimeConvolution):
    """Features to CTC logits."""

    def __init__(self, features: int, labels: int, config: JasperConfig) -> None:
        super().__init__(features, labels, config, _convolution, dense=True)


def _convolution(channels_in: int, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Module:
    padding = half(kernel, dilation)
    return nn.Conv1d(channels_in, channels, kernel, stride, padding, dilation, bias=False)
