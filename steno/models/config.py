"""Sizes of the architectures, and their names. Needs no torch."""

from math import prod
from typing import Literal

from pydantic import Field

from steno.config import Strict


class ResCnnBiGruConfig(Strict):
    """Sizes of ``rescnn-bigru``: strided stem, residual CNN blocks, linear layer, bidirectional GRUs.

    ``stem_strides`` has one convolution an entry: its stride in time. With ``convolution`` 2d the stem and the
    blocks see images of time and frequency, and each stem convolution halves the frequencies; with 1d the features
    are the first channels. 1d learns more from little computing; it wants several times the channels.
    """

    architecture: Literal["rescnn-bigru"] = "rescnn-bigru"
    convolution: Literal["2d", "1d"] = "2d"
    channels: int = Field(32, ge=1)
    stem_strides: tuple[int, ...] = Field((2, 2), min_length=1)
    blocks: int = Field(3, ge=0)
    kernel: int = Field(3, ge=1)
    rnn_layers: int = Field(3, ge=1)
    rnn_size: int = Field(256, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)

    @property
    def subsampling(self) -> int:
        """Feature frames an output frame."""
        return prod(self.stem_strides)


ModelConfig = ResCnnBiGruConfig
"""Any architecture's sizes; ``architecture`` says which."""
