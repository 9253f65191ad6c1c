"""``rescnn-bigru``: strided stem, residual CNN blocks, linear layer, bidirectional GRUs, classifier.

The family of Amodei et al., "Deep Speech 2", ICML 2016, with the residual blocks of He et al., "Identity Mappings
in Deep Residual Networks", ECCV 2016, as the classic PyTorch tutorials combine them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steno.models.config import ResCnnBiGruConfig
from steno.models.layers import BiGru, inside_mask


class ResCnnBiGru(nn.Module):
    """Features to CTC logits. Padding never changes an utterance's output: alone or in a batch, it is the same."""

    def __init__(self, features: int, labels: int, config: ResCnnBiGruConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.stem = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else c.channels, c.channels, 3, stride=(stride, 2), padding=1)
            for i, stride in enumerate(c.stem_strides)
        )
        for _ in c.stem_strides:
            features = (features + 1) // 2
        self.blocks = nn.ModuleList(_ResidualBlock(c.channels, features, c.kernel, c.dropout) for _ in range(c.blocks))
        self.linear = nn.Linear(c.channels * features, 2 * c.rnn_size)
        self.rnn_norms = nn.ModuleList(nn.LayerNorm(2 * c.rnn_size) for _ in range(c.rnn_layers))
        self.rnns = nn.ModuleList(BiGru(2 * c.rnn_size, c.rnn_size) for _ in range(c.rnn_layers))
        self.dropout = nn.Dropout(c.dropout)
        self.norm = nn.LayerNorm(2 * c.rnn_size)
        self.hidden = nn.Linear(2 * c.rnn_size, c.rnn_size)
        self.classifier = nn.Linear(c.rnn_size, labels)

    def frames(self, frames_b: Tensor) -> Tensor:
        """Output frames of utterances of so many feature frames."""
        for stride in self.config.stem_strides:
            frames_b = torch.div(frames_b + stride - 1, stride, rounding_mode="floor")
        return frames_b

    def forward(self, features_btf: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) and their frames (B,) → logits (B, T', V) and their frames (B,)."""
        x_bctf = features_btf[:, None]
        for conv, stride in zip(self.stem, self.config.stem_strides, strict=True):
            frames_b = torch.div(frames_b + stride - 1, stride, rounding_mode="floor")
            x_bctf = _masked(F.gelu(conv(x_bctf)), frames_b)
        for block in self.blocks:
            x_bctf = block(x_bctf, frames_b)
        x_btd = self.linear(x_bctf.transpose(1, 2).flatten(2))
        for norm, rnn in zip(self.rnn_norms, self.rnns, strict=True):
            x_btd = x_btd + self.dropout(rnn(norm(x_btd), frames_b))
        x_btd = F.gelu(self.hidden(self.dropout(self.norm(x_btd))))
        return self.classifier(x_btd), frames_b


class _ResidualBlock(nn.Module):
    """Twice: normalise each frame over frequency, GELU, dropout, convolution; then add the input."""

    def __init__(self, channels: int, features: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, kernel, padding="same") for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_bctf: Tensor, frames_b: Tensor) -> Tensor:
        y_bctf = x_bctf
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y_bctf = conv(_masked(self.dropout(F.gelu(norm(y_bctf))), frames_b))
        return _masked(x_bctf + y_bctf, frames_b)


def _masked(x_bctf: Tensor, frames_b: Tensor) -> Tensor:
    """Zero the frames beyond each utterance's end, as the edge of a convolution sees them."""
    return x_bctf * inside_mask(frames_b, x_bctf.shape[2])[:, None, :, None]
