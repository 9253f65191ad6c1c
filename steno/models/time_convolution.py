"""What ``jasper`` and ``quartznet`` share: units of convolution, normalisation, ReLU and dropout, and their blocks.

Neither family can stream: its kernels reach seconds around a frame.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from steno.models.config import TimeConvolutionConfig
from steno.models.layers import ChannelNorm, Dropout, MaskedBatchNorm, frozen_statistics, inside_mask, strided

Convolve = Callable[..., nn.Module]
"""``convolve(channels_in, channels, kernel, stride=1, dilation=1)``: (B, C, T) to (B, C', ⌈T / stride⌉)."""


def half(kernel: int, dilation: int = 1) -> int:
    """Frames that an odd kernel sees to each side."""
    return dilation * (kernel - 1) // 2


class Unit(nn.Module):
    """One convolution of zeroed padding, normalised; ReLU and dropout are the caller's."""

    def __init__(self, convolution: nn.Module, norm: nn.Module, stride: int = 1) -> None:
        super().__init__()
        self.convolution, self.norm, self.stride = convolution, norm, stride

    def forward(self, x_bct: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T) and frames (B,) → (B, C', T') and frames (B,)."""
        x_bct = self.convolution(x_bct * inside_mask(frames_b, x_bct.shape[2])[:, None])
        frames_b = strided(frames_b, self.stride)
        return self.norm(x_bct, frames_b), frames_b


class Block(nn.Module):
    """Units; to the last one's output the residuals are added, each through a convolution of width 1, then ReLU."""

    def __init__(self, units: Sequence[Unit], residuals: Sequence[Unit], dropout: float) -> None:
        super().__init__()
        self.units, self.residuals = nn.ModuleList(units), nn.ModuleList(residuals)
        self.dropout = Dropout(dropout)

    def forward(self, frames_b: Tensor, *inputs: Tensor) -> Tensor:
        """The outputs (B, C, T) of earlier blocks, the nearest last, with as many residuals → (B, C', T)."""
        x_bct = inputs[-1]
        for number, unit in enumerate(self.units, start=1):
            x_bct, _ = unit(x_bct, frames_b)
            if number < len(self.units):
                x_bct = self.dropout(F.relu(x_bct))
        for residual, earlier_bct in zip(self.residuals, inputs, strict=True):
            x_bct = x_bct + residual(earlier_bct, frames_b)[0]
        return self.dropout(F.relu(x_bct))


class TimeConvolution(nn.Module):
    """Features to CTC logits.

    Args:
        features: F.
        labels: V.
        config: sizes.
        convolve: makes the convolutions of stem, blocks and end.
        dense: whether a block's residuals are all earlier blocks' outputs, or its own input alone.
    """

    def __init__(
        self, features: int, labels: int, config: TimeConvolutionConfig, convolve: Convolve, dense: bool
    ) -> None:
        super().__init__()
        self.config, self._dense = config, dense
        c = config

        def norm(channels: int) -> nn.Module:
            return MaskedBatchNorm(channels) if c.norm == "batch" else ChannelNorm(channels)

        def pointwise(channels_in: int, channels: int) -> Unit:
            return Unit(nn.Conv1d(channels_in, channels, 1, bias=False), norm(channels))

        inputs = [features, *[c.stem_channels] * (len(c.stem_strides) - 1)]
        self.stem = nn.ModuleList(
            Unit(convolve(size, c.stem_channels, c.stem_kernel, stride=stride), norm(c.stem_channels), stride)
            for size, stride in zip(inputs, c.stem_strides, strict=True)
        )
        self.blocks = nn.ModuleList()
        widths = [c.stem_channels]
        for channels, kernel, dropout in zip(c.channels, c.kernels, c.dropouts, strict=True):
            for _ in range(c.each):
                sizes = [widths[-1], *[channels] * c.units]
                units = [Unit(convolve(sizes[i], channels, kernel), norm(channels)) for i in range(c.units)]
                residuals = [pointwise(width, channels) for width in (widths if dense else widths[-1:])]
                self.blocks.append(Block(units, residuals, dropout))
                widths.append(channels)
        wide, last = c.last_channels
        self.last = nn.ModuleList(
            [Unit(convolve(widths[-1], wide, c.last_kernel, dilation=2), norm(wide)), pointwise(wide, last)]
        )
        self.classifier = nn.Conv1d(last, labels, 1)
        self.stem_dropout, self.last_dropout = Dropout(c.dropouts[0]), Dropout(c.last_dropout)

    def frames(self, frames_b: Tensor) -> Tensor:
        """Output frames of utterances of so many feature frames."""
        for stride in self.config.stem_strides:
            frames_b = strided(frames_b, stride)
        return frames_b

    def forward(self, features_btf: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) and their frames (B,) → logits (B, T', V) and their frames (B,)."""
        x_bct = features_btf.transpose(1, 2)
        for unit in self.stem:
            x_bct, frames_b = unit(x_bct, frames_b)
            x_bct = self.stem_dropout(F.relu(x_bct))
        outputs = [x_bct]
        for block in self.blocks:
            outputs.append(self._run(block, frames_b, outputs if self._dense else outputs[-1:]))
        x_bct = outputs[-1]
        for unit in self.last:
            x_bct, _ = unit(x_bct, frames_b)
            x_bct = self.last_dropout(F.relu(x_bct))
        return self.classifier(x_bct).transpose(1, 2), frames_b

    def _run(self, block: nn.Module, frames_b: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        if self.training and self.config.checkpoint_gradients:
            return checkpoint(
                block,
                frames_b,
                *inputs,
                use_reentrant=False,
                # When a block runs again for its gradient, its running statistics have seen this batch already.
                context_fn=lambda: (nullcontext(), frozen_statistics(block)),
            )
        out: Tensor = block(frames_b, *inputs)
        return out
