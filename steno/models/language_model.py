"""A neural language model: a small Transformer over pieces of words, which says how likely a text is."""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steno.text import BLANK


class TransformerLM(nn.Module):
    """Predicts each piece of a text from those before it.

    A decoder-only Transformer, normalised before each part, with a squared ReLU. Places are told by a penalty on
    distance alone, so that texts may be longer than those that it was trained on. The matrix that pieces are looked
    up in also classifies.

    Sources: Vaswani et al., "Attention Is All You Need", NeurIPS 2017; Press et al., "Train Short, Test Long: Attention
    with Linear Biases Enables Input Length Extrapolation", ICLR 2022; So et al., "Primer: Searching for Efficient
    Transformers for Language Modeling", NeurIPS 2021; Press and Wolf, "Using the Output Embedding to Improve Language
    Models", EACL 2017.

    Args:
        labels: pieces, with label 0, which is none and stands for what precedes a text.
        size: of each piece's representation, a multiple of 64, which is what one attention head has.
        layers: pairs of attention and feed-forward part.
    """

    def __init__(self, labels: int, size: int, layers: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(size, labels, bias=False)
        self.layers = nn.ModuleList(_Layer(size) for _ in range(layers))
        self.norm = nn.LayerNorm(size)
        nn.init.normal_(self.classifier.weight, std=0.02)
        self.size = size
        self._heads = size // HEAD

    def forward(self, labels_bt: Tensor) -> Tensor:
        """ln of the chance of each piece after those before it (B, T), of labels (B, T); 0 where a label is 0."""
        log_probs_btv = self.logits(labels_bt).log_softmax(-1)
        return log_probs_btv.gather(-1, labels_bt[..., None])[..., 0] * (labels_bt != BLANK)

    def logits(self, labels_bt: Tensor) -> Tensor:
        """Scores (B, T, V) of all pieces in the place of each label (B, T), by the labels before it."""
        before_bt = F.pad(labels_bt[:, :-1], (1, 0), value=BLANK)
        x_btd = F.embedding(before_bt, self.classifier.weight) * sqrt(self.classifier.in_features)
        if torch.is_autocast_enabled(x_btd.device.type):
            x_btd = x_btd.to(torch.get_autocast_dtype(x_btd.device.type))
        penalty_htt = _penalty(before_bt, self._heads).to(x_btd.dtype)
        for layer in self.layers:
            x_btd = layer(x_btd, penalty_htt)
        scores_btv: Tensor = self.classifier(self.norm(x_btd))
        return scores_btv


HEAD = 64
"""What each attention head sees of a representation."""
_NEVER = -1e4
"""Added to the score of what comes later."""


class _Layer(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self._heads = size // HEAD
        self.attention_norm, self.norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.query_key_value, self.out = nn.Linear(size, 3 * size, bias=False), nn.Linear(size, size, bias=False)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)
        for last in (self.out, self.down):  # each layer begins as one that changes nothing
            nn.init.zeros_(last.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x_btd: Tensor, penalty_htt: Tensor) -> Tensor:
        x_btd = x_btd + self._attended(self.attention_norm(x_btd), penalty_htt)
        fed_btd: Tensor = self.down(F.relu(self.up(self.norm(x_btd))).square())
        return x_btd + fed_btd

    def _attended(self, x_btd: Tensor, penalty_htt: Tensor) -> Tensor:
        parts_btshe = self.query_key_value(x_btd).unflatten(-1, (3, self._heads, HEAD))
        query_bhte, key_bhte, value_bhte = parts_btshe.permute(2, 0, 3, 1, 4)
        # Spelled out: for texts of a few dozen pieces that is faster on a CPU than torch's attention.
        weights_bhtt = (query_bhte @ key_bhte.transpose(-1, -2) * HEAD**-0.5 + penalty_htt).softmax(-1)
        seen_btd: Tensor = self.out((weights_bhtt @ value_bhte).transpose(1, 2).flatten(2))
        return seen_btd


def _penalty(before_bt: Tensor, heads: int) -> Tensor:
    """What is added to the scores of attention (H, T, T): less the farther back, and never what comes later."""
    place_t = torch.ones_like(before_bt[0]).cumsum(0)
    back_tt = place_t[:, None] - place_t
    slopes_h = torch.tensor([2.0 ** (-8 * (head + 1) / heads) for head in range(heads)], device=before_bt.device)
    return (-slopes_h[:, None, None] * back_tt).masked_fill(back_tt < 0, _NEVER)
