"""Layers that treat each utterance of a padded batch as if it were alone."""

import torch
from torch import Tensor, nn


def inside_mask(frames_b: Tensor, time: int) -> Tensor:
    """True for the frames that belong to each utterance: (B, time)."""
    return torch.arange(time, device=frames_b.device) < frames_b[:, None]


def strided(frames_b: Tensor, stride: int) -> Tensor:
    """Frames that a convolution with this stride, padded by half its kernel, makes of so many."""
    return torch.div(frames_b + stride - 1, stride, rounding_mode="floor")


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
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self._threshold
        return x * (kept.to(x.dtype) * (256 / (256 - self._threshold)))


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
