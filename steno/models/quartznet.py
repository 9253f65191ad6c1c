"""``quartznet``: blocks of time-channel separable 1-D convolutions, each with a residual connection.

Source: Kriman et al., "QuartzNet: Deep Automatic Speech Recognition with 1D Time-Channel Separable Convolutions",
ICASSP 2020. Cannot stream.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
        _OverTime(channels_in, channels_in, kernel, stride, padding, dilation, groups=channels_in, bias=False),
        nn.Conv1d(channels_in, channels, 1, bias=False),
    )


class _OverTime(nn.Conv1d):
    """Each channel by itself. Computed as an image whose channels lie together, which a CPU does several times as fast.

    With dilation the frames between two taps are the image's columns, and of a stride each other frame is computed and
    dropped: both have no fast way of their own.
    """

    def forward(self, x_bct: Tensor) -> Tensor:
        """(B, C, T) → (B, C, ⌈T / stride⌉)."""
        if torch.onnx.is_in_onnx_export():
            return super().forward(x_bct)
        columns, time = self.dilation[0], x_bct.shape[2]
        image = F.pad(x_bct, (0, -time % columns)).unflatten(2, (-1, columns))
        image = image.contiguous(memory_format=torch.channels_last)
        half_kernel = (self.kernel_size[0] // 2, 0)
        image = F.conv2d(image, self.weight[..., None], padding=half_kernel, groups=self.groups)
        return image.flatten(2)[:, :, : time : self.stride[0]]
