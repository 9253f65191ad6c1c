"""The CTC loss of each utterance, and of a batch where some utterances cannot be used."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from steno.data.loading import Batch
from steno.text import BLANK, required_frames


@dataclass(frozen=True)
class BadUtterance:
    """An utterance whose loss is not finite: its index in the manifest, and the reason."""

    index: int
    reason: str


def ctc_losses(log_probs_btv: Tensor, frames_b: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood of each transcript (B,). Source: Graves et al., ICML 2006."""
    losses_b: Tensor = F.ctc_loss(
        log_probs_btv.transpose(0, 1),
        batch.labels_bl,
        frames_b,
        batch.label_lengths_b,
        blank=BLANK,
        reduction="none",
    )
    return losses_b


def find_bad(losses_b: Tensor, frames_b: Tensor, batch: Batch) -> list[BadUtterance]:
    """The utterances whose loss is not finite."""
    bad = []
    for row in torch.nonzero(~losses_b.isfinite()).flatten().tolist():
        labels = batch.labels_bl[row, : int(batch.label_lengths_b[row])].tolist()
        needed, there = required_frames(labels), int(frames_b[row])
        reason = (
            f"its transcript needs {needed} frames, the recording has {there}"
            if needed > there
            else f"its loss is {float(losses_b[row].detach())}"
        )
        bad.append(BadUtterance(int(batch.indices_b[row]), reason))
    return bad
