"""``rescnn-bigru``: strided stem, residual CNN blocks, linear layer, bidirectional GRUs, classifier.

The family of Amodei et al., "Deep Speech 2", ICML 2016, with residual blocks, as the classic PyTorch tutorials
combine them.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from steno.models.config import ResCnnBiGruConfig
from steno.models.layers import BiGru, recomputed, strided
from steno.models.residual_cnn import ResidualCnn1d, ResidualCnn2d


class ResCnnBiGru(nn.Module):
    """Features to CTC logits. Padding never changes an utterance's output: alone or in a batch, it is the same."""

    def __init__(self, features: int, labels: int, config: ResCnnBiGruConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.cnn = (ResidualCnn1d if c.convolution == "1d" else ResidualCnn2d)(features, c)
        self.linear = nn.Linear(self.cnn.size, 2 * c.rnn_size)
        self.rnn_norms = nn.ModuleList(nn.LayerNorm(2 * c.rnn_size) for _ in range(c.rnn_layers))
        self.rnns = nn.ModuleList(BiGru(2 * c.rnn_size, c.rnn_size) for _ in range(c.rnn_layers))
        self.dropout = nn.Dropout(c.dropout)
        self.norm = nn.LayerNorm(2 * c.rnn_size)
        self.hidden = nn.Linear(2 * c.rnn_size, c.rnn_size)
        self.classifier = nn.Linear(c.rnn_size, labels)

    def frames(self, frames_b: Tensor) -> Tensor:
        """Output frames of utterances of so many feature frames."""
        for stride in self.config.stem_strides:
            frames_b = strided(frames_b, stride)
        return frames_b

    def forward(self, features_btf: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) and their frames (B,) → logits (B, T', V) and their frames (B,)."""
        x_btd, frames_b = self.cnn(features_btf, frames_b)
        x_btd = self.linear(x_btd)
        for norm, rnn in zip(self.rnn_norms, self.rnns, strict=True):
            heard_btd = recomputed(rnn, norm(x_btd), frames_b, when=self.config.checkpoint_gradients)
            x_btd = x_btd + self.dropout(heard_btd)
        x_btd = F.gelu(self.hidden(self.dropout(self.norm(x_btd))))
        return self.classifier(x_btd), frames_b
