"""What a model that hears a stream step by step is told and keeps."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from steno.models.layers import strided


class Memory(Protocol):
    """What a stream keeps between its steps: read and written piece by piece, in the order of the layers."""

    def take(self, channels: int, frames: int) -> Tensor:
        """The next piece as the last step left it, (B, channels, frames); zeros at the start."""

    def keep(self, piece: Tensor) -> None:
        """The same piece for the next step."""


@dataclass(frozen=True)
class Clock:
    """Where the frames of one step lie in their utterances.

    Args:
        position_b: output frames that earlier steps were given (B,).
        frames_b: feature frames of each utterance (B,), or a large number where its end is not known yet.
        subsampling: feature frames an output frame.
    """

    position_b: Tensor
    frames_b: Tensor
    subsampling: int

    def inside(self, time: int, delay: int = 0, stride: int | None = None) -> Tensor:
        """Whether each of a layer's frames lies in its utterance, (B, time).

        ``delay`` counts the layer's own frames, of which each spans ``stride`` feature frames; None: as many as an
        output frame.
        """
        stride = stride or self.subsampling
        first_b = torch.div(self.position_b * self.subsampling, stride, rounding_mode="floor") - delay
        position_bt = first_b[:, None] + torch.arange(time, device=first_b.device)
        return (position_bt >= 0) & (position_bt < strided(self.frames_b, stride)[:, None])
