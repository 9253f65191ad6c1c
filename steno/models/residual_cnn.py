"""The convolutional part of ``rescnn-bigru``: a strided stem and residual blocks, over time or over time and frequency.

The blocks are those of He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, with a normalisation
that sees one frame at a time, so that neither padding nor other utterances change anything.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from steno.models.config import ResCnnBiGruConfig
from steno.models.layers import ChannelNorm, inside_mask, recomputed, strided


class ResidualCnn2d(nn.Module):
    """Images of time and frequency: each stem convolution halves the latter; ``size`` is channels × frequencies."""

    def __init__(self, features: int, config: ResCnnBiGruConfig) -> None:
        super().__init__()
        self._strides, self._recompute = config.stem_strides, config.checkpoint_gradients
        channels = config.channels
        self.stem = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else channels, channels, 3, stride=(stride, 2), padding=1)
            for i, stride in enumerate(self._strides)
        )
        for _ in self._strides:
            features = (features + 1) // 2
        self.blocks = nn.ModuleList(
            _Block(
                [nn.LayerNorm(features) for _ in range(2)],
                [nn.Conv2d(channels, channels, config.kernel, padding="same") for _ in range(2)],
                config.dropout,
            )
            for _ in range(config.blocks)
        )
        self.size = channels * features

    def forward(self, features_btf: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F) and frames (B,) → (B, T', size) and frames (B,)."""
        x_bctf = features_btf[:, None]
        for conv, stride in zip(self.stem, self._strides, strict=True):
            frames_b = strided(frames_b, stride)
            x_bctf = _masked(F.gelu(conv(x_bctf)), frames_b)
        for block in self.blocks:
            x_bctf = recomputed(block, x_bctf, frames_b, when=self._recompute)
        return x_bctf.transpose(1, 2).flatten(2), frames_b


class ResidualCnn1d(nn.Module):
    """Series of time: the features are the first channels, and ``size`` is the number of channels."""

    def __init__(self, features: int, config: ResCnnBiGruConfig) -> None:
        super().__init__()
        self._strides, self._recompute = config.stem_strides, config.checkpoint_gradients
        self.size = config.channels
        self.stem = nn.ModuleList(
            nn.Conv1d(features if i == 0 else self.size, self.size, 5, stride=stride, padding=2)
            for i, stride in enumerate(self._strides)
        )
        self.norms = nn.ModuleList(ChannelNorm(self.size) for _ in self._strides)
        self.blocks = nn.ModuleList(
            _Block(
                [ChannelNorm(self.size) for _ in range(2)],
                [nn.Conv1d(self.size, self.size, config.kernel, padding="same") for _ in range(2)],
                config.dropout,
            )
            for _ in range(config.blocks)
        )

    def forward(self, features_btf: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F) and frames (B,) → (B, T', size) and frames (B,)."""
        x_bct = features_btf.transpose(1, 2)
        for conv, norm, stride in zip(self.stem, self.norms, self._strides, strict=True):
            frames_b = strided(frames_b, stride)
            x_bct = _masked(F.gelu(norm(conv(x_bct))), frames_b)
        for block in self.blocks:
            x_bct = recomputed(block, x_bct, frames_b, when=self._recompute)
        return x_bct.transpose(1, 2), frames_b


class _Block(nn.Module):
    """Twice: normalise, GELU, dropout, convolution; then add the input. (B, C, T) or (B, C, T, F)."""

    def __init__(self, norms: list[nn.Module], convs: list[nn.Module], dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norms)
        self.convs = nn.ModuleList(convs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, frames_b: Tensor) -> Tensor:
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(_masked(self.dropout(F.gelu(norm(y))), frames_b))
        return _masked(x + y, frames_b)


def _masked(x: Tensor, frames_b: Tensor) -> Tensor:
    """Zero the frames beyond each utterance's end, as the edge of a convolution sees them."""
    inside_bt = inside_mask(frames_b, x.shape[2])
    return x * (inside_bt[:, None, :, None] if x.ndim == 4 else inside_bt[:, None, :])
