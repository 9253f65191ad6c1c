"""Layers that treat each utterance of a padded batch as if it were alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def inside_mask(frames_b: Tensor, time: int) -> Tensor:
    """True for the frames that belong to each utterance: (B, time)."""
    return torch.arange(time, device=frames_b.device) < frames_b[:, None]


def strided(frames_b: Tensor, stride: int) -> Tensor:
    """Frames that a convolution with this stride, padded by half its kernel, makes of so many."""
    return torch.div(frames_b + stride - 1, stride, rounding_mode="floor")


def recomputed(module: nn.Module, *inputs: Any, when: bool) -> Tensor:
    """A module's output; with ``when``, while it trains, its inner values are computed again for their gradients.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
    """
    if when and module.training:
        again: Tensor = checkpoint(module, *inputs, use_reentrant=False)
        return again
    out: Tensor = module(*inputs)
    return out


def as_image(features_btf: Tensor) -> Tensor:
    """Features (B, T, F) as an image of one channel (B, 1, T, F) whose convolutions will have their channels together.

    On a CPU strided 2-D convolutions take half as long so, forwards and back (torch 2.13, bf16).
    """
    if _as_written(features_btf):
        return features_btf[:, None]
    # The strides decide, not the memory, which is the same: a channel's is 1 here, and not a picture's size.
    return features_btf[..., None].permute(0, 3, 1, 2)


def depthwise(convolution: nn.Conv1d, x_bct: Tensor) -> Tensor:
    """What a depthwise convolution over time without stride and dilation makes of (B, C, T).

    On a CPU computed as an image of one line whose channels lie together, in which form (B, T, C) already is when
    ``x_bct`` is a view of it: two to three times as fast as torch's own (2.13), forwards and back.
    """
    if _as_written(x_bct):
        out_bct: Tensor = convolution(x_bct)
        return out_bct
    image_bc1t = x_bct[:, :, None].contiguous(memory_format=torch.channels_last)
    padding = (0, convolution.kernel_size[0] // 2 if convolution.padding == "same" else 0)
    image_bc1t = F.conv2d(
        image_bc1t, convolution.weight[:, :, None], convolution.bias, padding=padding, groups=convolution.groups
    )
    return image_bc1t.flatten(2)


def _as_written(x: Tensor) -> bool:
    """Whether the memory's order is left alone: on other devices, and in a graph, which says what to compute alone."""
    return x.device.type != "cpu" or torch.onnx.is_in_onnx_export()


class Dropout(nn.Module):
    """Dropout whose chance is rounded to 1/256, so that one random byte an element decides.

    torch's own draws a random number an element, which on a CPU takes longer than the matrix products around it.
    """

    def __init__(self, chance: float) -> None:
        super().__init__()
        self._threshold = round(256 * chance)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; unchanged unless training."""
        if not self.training or not self._threshold:
            return x
        if x.is_cuda:
            return nn.functional.dropout(x, self._threshold / 256)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self._threshold
        return x * (kept.to(x.dtype) * (256 / (256 - self._threshold)))


class ChannelNorm(nn.Module):
    """Layer normalisation of each frame of (B, C, T) over its channels: no frame sees another one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x_bct: Tensor, frames_b: Tensor | None = None) -> Tensor:
        """(B, C, T) → (B, C, T)."""
        normalised: Tensor = self.norm(x_bct.transpose(1, 2)).transpose(1, 2)
        return normalised


class MaskedBatchNorm(nn.Module):
    """Batch normalisation of (B, C, T) whose statistics ignore padding.

    Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015. While training, the utterances of a batch see each
    other through the statistics, however little of it is padding. In evaluation the running statistics are used, and
    an utterance is the same alone and in a batch. Of several processes each has the statistics of its own share; the
    running ones are averaged over the processes before each validation (:func:`statistics`).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-3) -> None:
        super().__init__()
        self._momentum, self._eps = momentum, eps
        self.frozen = False
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x_bct: Tensor, frames_b: Tensor) -> Tensor:
        """(B, C, T) with the frames (B,) of each utterance → (B, C, T)."""
        if not self.training:
            return self._scaled(x_bct, self.running_mean, self.running_var)
        with torch.autocast(x_bct.device.type, enabled=False):
            exact_bct = x_bct.float()
            inside_b1t = inside_mask(frames_b, x_bct.shape[2])[:, None]
            count = frames_b.sum()
            mean_c = (exact_bct * inside_b1t).sum(dim=(0, 2)) / count
            variance_c = ((exact_bct - mean_c[:, None]).square() * inside_b1t).sum(dim=(0, 2)) / count
            if not self.frozen:
                with torch.no_grad():
                    unbiased_c = variance_c * (count / (count - 1).clamp(min=1))
                    self.running_mean.lerp_(mean_c.detach(), self._momentum)
                    self.running_var.lerp_(unbiased_c.detach(), self._momentum)
            return self._scaled(exact_bct, mean_c, variance_c).to(x_bct.dtype)

    def _scaled(self, x_bct: Tensor, mean_c: Tensor, variance_c: Tensor) -> Tensor:
        scale_c = self.weight * (variance_c + self._eps).rsqrt()
        return x_bct * scale_c[:, None] + (self.bias - mean_c * scale_c)[:, None]


def statistics(model: nn.Module) -> dict[str, Tensor]:
    """The running statistics of a model's batch normalisations, by name; what is averaged together with weights."""
    return {
        f"{name}.{key}": buffer
        for name, module in model.named_modules()
        if isinstance(module, MaskedBatchNorm)
        for key, buffer in module.named_buffers()
    }


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Within the block no running statistics change: for a pass whose input is no data, or was seen before."""
    norms = [module for module in model.modules() if isinstance(module, MaskedBatchNorm)]
    for norm in norms:
        norm.frozen = True
    try:
        yield
    finally:
        for norm in norms:
            norm.frozen = False


class BiGru(nn.Module):
    """One bidirectional GRU layer whose backward direction starts at each utterance's own last frame.

    The backward direction reverses each utterance within its length and runs forwards. That gives what packed
    sequences give, trains several times faster than they do on a CPU, and exports to ONNX.
    """

    def __init__(self, size_in: int, size: int) -> None:
        super().__init__()
        self.forward_gru = nn.GRU(size_in, size, batch_first=True)
        self.backward_gru = nn.GRU(size_in, size, batch_first=True)

    def forward(self, x_btd: Tensor, frames_b: Tensor) -> Tensor:
        """(B, T, D) with the frames (B,) of each utterance → (B, T, 2 size)."""
        order_bt = _reversal(frames_b, x_btd.shape[1])
        ahead_bth, _ = self.forward_gru(x_btd)
        back_bth, _ = self.backward_gru(_reorder(x_btd, order_bt))
        return torch.cat([ahead_bth, _reorder(back_bth, order_bt)], dim=-1)


def _reversal(frames_b: Tensor, time: int) -> Tensor:
    """For each utterance, its frames backwards; frames beyond its end stay where they are: (B, time)."""
    position_t = torch.arange(time, device=frames_b.device)
    mirrored_bt = frames_b[:, None] - 1 - position_t
    return torch.where(mirrored_bt >= 0, mirrored_bt, position_t)


def _reorder(x_btd: Tensor, order_bt: Tensor) -> Tensor:
    return x_btd.gather(1, order_bt[..., None].expand(-1, -1, x_btd.shape[2]))
