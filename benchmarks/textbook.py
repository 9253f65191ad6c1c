"""The plain textbook loop that Steno's training is measured against.

It is what tutorials of CTC speech recognition do: utterances shuffled and cut into batches of 20 whatever their
lengths, decoded and turned into MFCCs one by one in the main process, padded to the longest, and a residual CNN
with bidirectional GRUs of the classic sizes, trained by AdamW and one cycle in 32-bit floats.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from steno import audio
from steno.data.manifest import Utterance
from steno.decoding.greedy import greedy_labels
from steno.evaluation.score import Scores, score
from steno.features.config import FeatureConfig
from steno.features.frontend import FrontEnd
from steno.text import BLANK, Tokenizer

BATCH = 20
COEFFICIENTS = 128
HOP = 200
"""Samples between frames: 80 frames a second."""
CHANNELS = 32
RNN_SIZE = 800
STEM_STRIDE = 2

Example = tuple[Tensor, Tensor]
"""Features (T, F) and labels (L,) of one utterance."""
Padded = tuple[Tensor, Tensor, Tensor, Tensor]
"""Features (B, T, F), their frames (B,), labels (B, L), their lengths (B,)."""


class Mfccs(Dataset[Example]):
    """MFCC-128 and labels of utterances, computed one by one when they are asked for."""

    def __init__(self, utterances: Sequence[Utterance], tokenizer: Tokenizer) -> None:
        self._utterances, self._tokenizer = utterances, tokenizer
        # torchaudio's MFCC(16000, n_mfcc=128): the front-end's numbers are torchaudio's.
        self._mfcc = FrontEnd(
            FeatureConfig(
                kind="mfcc", n_mfcc=COEFFICIENTS, n_mels=COEFFICIENTS, n_fft=400, hop_length=HOP, normalize="none"
            )
        )

    def __len__(self) -> int:
        return len(self._utterances)

    @torch.no_grad()
    def __getitem__(self, index: int) -> Example:
        utterance = self._utterances[index]
        samples_1n = torch.from_numpy(audio.load(utterance.audio))[None]
        features_1tf, _ = self._mfcc(samples_1n, torch.tensor([samples_1n.shape[1]]))
        return features_1tf[0], torch.tensor(self._tokenizer.encode(utterance.text or ""))


def pad(examples: list[Example]) -> Padded:
    """Pad features and labels to the longest of the batch."""
    features, labels = [x for x, _ in examples], [y for _, y in examples]
    return (
        nn.utils.rnn.pad_sequence(features, batch_first=True),
        torch.tensor([len(x) for x in features]),
        nn.utils.rnn.pad_sequence(labels, batch_first=True),
        torch.tensor([len(x) for x in labels]),
    )


class ResidualCnn(nn.Module):
    """Twice layer norm over features, GELU, dropout, convolution; then add the input."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                layer
                for _ in range(2)
                for layer in (
                    nn.LayerNorm(features),
                    nn.GELU(),
                    nn.Dropout(dropout),
                    nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
                )
            )
        )

    def forward(self, x_bctf: Tensor) -> Tensor:
        """(B, C, T, F) → (B, C, T, F)."""
        y_bctf: Tensor = self.layers(x_bctf)
        return x_bctf + y_bctf


class BiGru(nn.Module):
    """Layer norm, GELU, one bidirectional GRU layer, dropout."""

    def __init__(self, size_in: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size_in)
        self.gru = nn.GRU(size_in, RNN_SIZE, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_btd: Tensor) -> Tensor:
        """(B, T, D) → (B, T, 1600)."""
        out_btd, _ = self.gru(F.gelu(self.norm(x_btd)))
        dropped_btd: Tensor = self.dropout(out_btd)
        return dropped_btd


class Textbook(nn.Module):
    """The classic model of the classic sizes: MFCC (B, T, 128) to logits (B, T/2, labels)."""

    def __init__(self, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        features = COEFFICIENTS // 2
        self.stem = nn.Conv2d(1, CHANNELS, 3, stride=STEM_STRIDE, padding=1)
        self.blocks = nn.Sequential(*(ResidualCnn(features, dropout) for _ in range(3)))
        self.linear = nn.Linear(CHANNELS * features, 512)
        self.rnns = nn.Sequential(*(BiGru(512 if i == 0 else 2 * RNN_SIZE, dropout) for i in range(3)))
        self.classifier = nn.Sequential(
            nn.Linear(2 * RNN_SIZE, RNN_SIZE), nn.GELU(), nn.Dropout(dropout), nn.Linear(RNN_SIZE, labels)
        )

    def forward(self, features_btf: Tensor) -> Tensor:
        """Features (B, T, F) → logits (B, T', V)."""
        x_bctf = self.blocks(self.stem(features_btf[:, None]))
        x_btd = self.linear(x_bctf.transpose(1, 2).flatten(2))
        logits_btv: Tensor = self.classifier(self.rnns(x_btd))
        return logits_btv


def output_frames(frames_b: Tensor) -> Tensor:
    """Frames (B,) that the stem leaves of so many."""
    return (frames_b + STEM_STRIDE - 1) // STEM_STRIDE


class TextbookLoop:
    """Model, optimiser and schedule of the plain loop.

    Args:
        utterances: the training set, with text.
        tokenizer: spells their texts; the default alphabet gives the classic 29 labels.
        epochs: passes over it, as the schedule needs to know.
        seed: of weights, order and dropout.
    """

    def __init__(self, utterances: Sequence[Utterance], tokenizer: Tokenizer, epochs: int, seed: int) -> None:
        self._tokenizer, self._seed, self._epoch = tokenizer, seed, 0
        torch.manual_seed(seed)
        self.model = Textbook(len(tokenizer))
        order = torch.Generator().manual_seed(seed)
        self._loader = DataLoader(
            Mfccs(utterances, tokenizer), batch_size=BATCH, shuffle=True, collate_fn=pad, generator=order
        )
        self._loss = nn.CTCLoss(blank=BLANK, zero_infinity=True)
        self._optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-4)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, max_lr=5e-4, steps_per_epoch=len(self._loader), epochs=epochs
        )

    @property
    def parameters(self) -> int:
        """Trained numbers of the model."""
        return sum(p.numel() for p in self.model.parameters())

    def train_epoch(self) -> float:
        """One pass over the training set; returns the mean of its batches' losses."""
        # What else runs in this process draws random numbers too.
        torch.manual_seed(self._seed + self._epoch)
        self._epoch += 1
        self.model.train()
        total = 0.0
        for features_btf, frames_b, labels_bl, lengths_b in self._loader:
            self._optimizer.zero_grad()
            log_probs_btv = self.model(features_btf).log_softmax(dim=-1)
            loss = self._loss(log_probs_btv.transpose(0, 1), labels_bl, output_frames(frames_b), lengths_b)
            loss.backward()
            self._optimizer.step()
            self._schedule.step()
            total += loss.item()
        return total / len(self._loader)

    @torch.inference_mode()
    def score(self, utterances: Sequence[Utterance]) -> Scores:
        """Greedy error rates of the model as it is now."""
        self.model.eval()
        hypotheses: list[str] = []
        for features_btf, frames_b, _, _ in DataLoader(
            Mfccs(utterances, self._tokenizer), batch_size=BATCH, collate_fn=pad
        ):
            logits_btv = self.model(features_btf).numpy()
            for logits_tv, frames in zip(logits_btv, output_frames(frames_b).tolist(), strict=True):
                hypotheses.append(self._tokenizer.decode(greedy_labels(logits_tv[:frames])))
        return score((u.id, u.text or "", text) for u, text in zip(utterances, hypotheses, strict=True))
