"""The CTC loss of each utterance, and of a batch where some utterances cannot be used."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from steno.data.loading import Batch
from steno.models.layers import inside_mask
from steno.models.registry import Heads
from steno.text import BLANK, required_frames

_NO_STATE = -1
_SMOOTHING = 0.1
"""Share of each frame's target that all states have: an alignment is not quite right about where one ends."""


@dataclass(frozen=True)
class BadUtterance:
    """An utterance whose loss is not finite: its index in the manifest, and the reason."""

    index: int
    reason: str


@dataclass(frozen=True)
class LossWeights:
    """What the companions of the text's CTC loss count for.

    Args:
        intermediate: share of the loss that the intermediate layers have (Lee and Watanabe, "Intermediate Loss
            Regularization for CTC-based Speech Recognition", ICASSP 2021).
        consistency: factor of the divergence between two views (Yao et al., "CR-CTC: Consistency Regularization on CTC
            for Improved Speech Recognition", ICLR 2025).
        phonemes: share that phonemes have, in the utterances whose phonemes are known.
        frames: share that the phonemes' states in each frame have of all that, in the utterances that were aligned.
    """

    intermediate: float = 0.0
    consistency: float = 0.0
    phonemes: float = 0.0
    frames: float = 0.0


def training_losses(
    heads: Heads,
    frames_b: Tensor,
    batch: Batch,
    weights: LossWeights = LossWeights(),
    views: int = 1,
    heard_b: Tensor | None = None,
) -> Tensor:
    """The loss of each utterance (B,): CTC, with its companions.

    Args:
        heads: log-probabilities of ``views`` × B utterances.
        frames_b: frames of the utterances (B,).
        batch: their transcripts.
        weights: of the companions.
        views: how often the batch is repeated, each time with other masks.
        heard_b: feature frames of the utterances (B,), where there are phonemes' states.
    """

    def drawn_together(log_probs_btv: Tensor) -> Tensor | float:
        if not weights.consistency or views != 2:
            return 0.0
        first_btv, second_btv = log_probs_btv.chunk(2)
        return weights.consistency * divergences(first_btv, second_btv, frames_b)

    layers = len(heads.labels_lbtv)
    layers_lb = ctc_losses(heads.labels_lbtv.flatten(0, 1), frames_b, batch).view(layers, views, -1).mean(dim=1)
    losses_b = layers_lb[-1]
    if layers > 1:
        losses_b = (1 - weights.intermediate) * losses_b + weights.intermediate * layers_lb[:-1].mean(dim=0)
    losses_b = losses_b + drawn_together(heads.labels_lbtv[-1])
    if heads.phonemes_btp is not None:
        of_phonemes_b = phoneme_losses(heads.phonemes_btp, frames_b, batch).view(views, -1).mean(dim=0)
        of_phonemes_b = of_phonemes_b + drawn_together(heads.phonemes_btp)
        share_b = weights.phonemes * (batch.phoneme_lengths_b >= 0)
        losses_b = (1 - share_b) * losses_b + share_b * of_phonemes_b
    if heads.states_bnk is not None:
        assert heard_b is not None
        of_frames_b = frame_losses(heads.states_bnk, heard_b, batch).view(views, -1).mean(dim=0)
        # As long as the text's: a feature frame counts as its share of an output frame.
        of_frames_b = of_frames_b * heads.labels_lbtv.shape[2] / heads.states_bnk.shape[1]
        share_b = weights.frames * (batch.state_lengths_b > 0)
        losses_b = (1 - share_b) * losses_b + share_b * of_frames_b
    return losses_b


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
