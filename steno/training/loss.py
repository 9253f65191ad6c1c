"""The CTC loss of each utterance, and of a batch where some utterances cannot be used."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from steno.data.loading import Batch
from steno.models.layers import inside_mask
from steno.text import BLANK, required_frames

_NO_STATE = -1
_SMOOTHING = 0.1
"""Share of each frame's target that all states have: an alignment is not quite right about where one ends."""


@dataclass(frozen=True)
class BadUtterance:
    """An utterance whose loss is not finite: its index in the manifest, and the reason."""

    index: int
    reason: str


def training_losses(
    log_probs_lbtv: Tensor,
    frames_b: Tensor,
    batch: Batch,
    views: int = 1,
    intermediate_weight: float = 0.0,
    consistency_weight: float = 0.0,
    phonemes_btp: Tensor | None = None,
    phoneme_weight: float = 0.0,
) -> Tensor:
    """The loss of each utterance (B,): CTC, with its companions.

    Args:
        log_probs_lbtv: of intermediate layers and, last, of the final one, (L, views × B, T, V).
        frames_b: frames of the utterances (B,).
        batch: their transcripts.
        views: how often the batch is repeated, each time with other masks.
        intermediate_weight: share of the loss that the intermediate layers have (Lee and Watanabe, "Intermediate
            Loss Regularization for CTC-based Speech Recognition", ICASSP 2021).
        consistency_weight: factor of the divergence between two views (Yao et al., "CR-CTC: Consistency
            Regularization on CTC for Improved Speech Recognition", ICLR 2025).
        phonemes_btp: log-probabilities of phonemes, (views × B, T, P).
        phoneme_weight: share of the loss that they have, in the utterances whose phonemes are known.
    """
    layers = len(log_probs_lbtv)
    layers_lb = ctc_losses(log_probs_lbtv.flatten(0, 1), frames_b, batch).view(layers, views, -1).mean(dim=1)
    losses_b = layers_lb[-1]
    if layers > 1:
        losses_b = (1 - intermediate_weight) * losses_b + intermediate_weight * layers_lb[:-1].mean(dim=0)
    if consistency_weight and views == 2:
        first_btv, second_btv = log_probs_lbtv[-1].chunk(2)
        losses_b = losses_b + consistency_weight * divergences(first_btv, second_btv, frames_b)
    if phonemes_btp is None:
        return losses_b
    of_phonemes_b = phoneme_losses(phonemes_btp, frames_b, batch).view(views, -1).mean(dim=0)
    if consistency_weight and views == 2:
        first_btp, second_btp = phonemes_btp.chunk(2)
        of_phonemes_b = of_phonemes_b + consistency_weight * divergences(first_btp, second_btp, frames_b)
    weight_b = phoneme_weight * (batch.phoneme_lengths_b >= 0)
    return (1 - weight_b) * losses_b + weight_b * of_phonemes_b


def divergences(first_btv: Tensor, second_btv: Tensor, frames_b: Tensor) -> Tensor:
    """Symmetric Kullback-Leibler divergence of two views, summed over each utterance's frames: (B,).

    Each view is drawn to the other, and no gradient flows into the view that is drawn to.
    """
    apart_btv = F.kl_div(first_btv, second_btv.detach(), reduction="none", log_target=True)
    apart_btv = apart_btv + F.kl_div(second_btv, first_btv.detach(), reduction="none", log_target=True)
    inside_bt = inside_mask(frames_b, first_btv.shape[1])
    return 0.5 * (apart_btv.sum(dim=-1) * inside_bt).sum(dim=-1)


def ctc_losses(log_probs_btv: Tensor, frames_b: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood of each transcript, of as many repetitions of the batch as there are rows for.

    Source: Graves et al., "Connectionist Temporal Classification", ICML 2006.
    """
    return _ctc(log_probs_btv, frames_b, batch.labels_bl, batch.label_lengths_b)


def phoneme_losses(log_probs_btp: Tensor, frames_b: Tensor, batch: Batch) -> Tensor:
    """The same of the phonemes; 0 where there are more of them than frames, or where they are not known."""
    lengths_b = batch.phoneme_lengths_b.clamp(min=0)
    return _ctc(log_probs_btp, frames_b, batch.phonemes_bl, lengths_b, zero_infinity=True)


def frame_losses(log_probs_bnk: Tensor, frames_b: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of each feature frame's state, summed over each utterance's frames: 0 where they are not known.

    The states are those of the recording before it was augmented, which may have made it shorter or longer.

    Args:
        log_probs_bnk: of the states, (views × B, N, K).
        frames_b: feature frames of the utterances as they were heard, (B,).
        batch: their states.
    """
    frames, lengths_b = log_probs_bnk.shape[1], batch.state_lengths_b
    if not batch.states_bs.shape[1]:
        return log_probs_bnk.new_zeros(len(log_probs_bnk))
    middle_n = torch.arange(frames, device=frames_b.device) + 0.5
    places_bn = (middle_n * (lengths_b / frames_b.clamp(min=1))[:, None]).long()
    states_bn = batch.states_bs.gather(1, places_bn.clamp(max=batch.states_bs.shape[1] - 1))
    known_bn = inside_mask(frames_b, frames) & (lengths_b > 0)[:, None]
    states_bn = states_bn.masked_fill(~known_bn, _NO_STATE).repeat(len(log_probs_bnk) // len(frames_b), 1)
    losses_bn = F.cross_entropy(
        log_probs_bnk.transpose(1, 2), states_bn, ignore_index=_NO_STATE, reduction="none", label_smoothing=_SMOOTHING
    )
    return losses_bn.sum(dim=1)


def _ctc(
    log_probs_btv: Tensor, frames_b: Tensor, labels_bl: Tensor, lengths_b: Tensor, zero_infinity: bool = False
) -> Tensor:
    times = len(log_probs_btv) // len(frames_b)
    losses_b: Tensor = F.ctc_loss(
        log_probs_btv.transpose(0, 1),
        labels_bl.repeat(times, 1),
        frames_b.repeat(times),
        lengths_b.repeat(times),
        blank=BLANK,
        reduction="none",
        zero_infinity=zero_infinity,
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
            else f"its loss is {float(losses_b[row].detach())}; where many are, optimizer.lr is too high"
        )
        bad.append(BadUtterance(int(batch.indices_b[row]), reason))
    return bad
