"""The loss of a batch by the model that is being trained, and which of its utterances it is of."""

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from steno.data.loading import Batch
from steno.models.layers import frozen_statistics
from steno.models.registry import AcousticModel
from steno.training.loss import BadUtterance, LossWeights, find_bad, training_losses
from steno.training.recipe import Recipe


class Forward:
    """Takes batches through the model.

    Args:
        fabric: the processes and their device.
        recipe: masks and losses.
        model: that is trained.
        wrapped: the same, as Fabric set it up.
    """

    def __init__(self, fabric: Fabric, recipe: Recipe, model: AcousticModel, wrapped: nn.Module) -> None:
        self._fabric, self._recipe, self._model, self._wrapped = fabric, recipe, model, wrapped

    def __call__(self, batch: Batch, epoch: int) -> tuple[Tensor, Batch, list[BadUtterance]]:
        """Sum of the losses of the utterances whose loss is finite, those utterances, and the others."""
        if not len(batch.indices_b):
            return self._no_loss(), batch, []
        losses_b, frames_b = self._losses(batch, epoch)
        bad = find_bad(losses_b, frames_b, batch)
        if not bad:
            return losses_b.sum(), batch, []
        # A loss that is not finite poisons the gradient of the whole batch, so the others go through again.
        kept = batch.select(losses_b.isfinite())
        if not len(kept.indices_b):
            return self._no_loss(), kept, bad
        losses_b, _ = self._losses(kept, epoch)
        return losses_b.sum(), kept, bad

    def _losses(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        mask, settings = self._recipe.augment.mask, self._recipe.training
        consistency = settings.consistency
        views = 2 if consistency and epoch >= consistency.from_epoch else 1
        uniform = batch.uniform_bk.split(mask.draws, dim=1)[:views] if mask and mask.draws else ()
        masks = (mask, torch.cat(uniform)) if mask and uniform else None
        log_probs_btv, frames_b = self._wrapped(
            batch.samples_bn,
            batch.lengths_b,
            masks,
            self._recipe.intermediate,
            views,
            self._recipe.augment.vocal_tract or 0.0,
        )
        frames_b = frames_b[: len(batch.lengths_b)]
        heads = self._model.heads(log_probs_btv)
        heard_b = self._model.frontend.frames(batch.lengths_b) if heads.states_bnk is not None else None
        return training_losses(heads, frames_b, batch, self._weights(epoch), views, heard_b), frames_b

    def _weights(self, epoch: int) -> LossWeights:
        settings, phonemes = self._recipe.training, self._recipe.phonemes
        return LossWeights(
            settings.intermediate_weight,
            settings.consistency.weight if settings.consistency else 0.0,
            phonemes.weight if phonemes else 0.0,
            phonemes.frames.share(epoch, settings.epochs) if phonemes and phonemes.frames else 0.0,
        )

    def _no_loss(self) -> Tensor:
        """A loss of zero that still reaches every parameter, as the other processes expect of this one."""
        rate = self._recipe.features.sample_rate
        silence_bn = torch.zeros(1, rate, device=self._fabric.device)
        with frozen_statistics(self._model):
            log_probs_btv, _ = self._wrapped(silence_bn, torch.tensor([rate], device=self._fabric.device))
        loss: Tensor = log_probs_btv.sum() * 0
        return loss
