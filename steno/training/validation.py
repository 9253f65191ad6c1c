"""Loss and greedy error rates on a manifest, by the model that is being trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning_fabric import Fabric

from steno.data.batching import Indices, group_sorted
from steno.data.loading import BatchLoader, Failure
from steno.data.manifest import Manifest
from steno.decoding.greedy import collapse
from steno.errors import ManifestError
from steno.evaluation.score import Scores, score
from steno.models.registry import AcousticModel
from steno.text import BLANK, Tokenizer
from steno.training.loss import ctc_losses
from steno.training.processes import gathered


@dataclass(frozen=True)
class Validation:
    """Mean loss a label, scored utterances in the manifest's order, and the share of frames that are blank."""

    loss: float
    scores: Scores
    blank_share: float = 0.0
    failures: list[Failure] = field(default_factory=list)


@dataclass
class _Part:
    """What one process found in its share."""

    loss: float = 0.0
    labels: int = 0
    frames: int = 0
    blanks: int = 0
    hypotheses: dict[int, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


class Validator:
    """Validates on one manifest, which is shared among the processes.

    Args:
        fabric: the processes and their devices.
        manifest: utterances with text.
        loader: loads that manifest, this process's share of each batch.
        tokenizer: of the model.
        batch_seconds: padded seconds of audio in a batch, at most.
        batch_size: utterances in a batch, at most.
    """

    def __init__(
        self,
        fabric: Fabric,
        manifest: Manifest,
        loader: BatchLoader,
        tokenizer: Tokenizer,
        batch_seconds: float,
        batch_size: int,
    ) -> None:
        self._fabric, self._manifest, self._loader, self._tokenizer = fabric, manifest, loader, tokenizer
        order = np.argsort(manifest.durations, kind="stable")
        self._batches: Sequence[Indices] = group_sorted(manifest.durations, order, batch_seconds, batch_size)

    @torch.inference_mode()
    def validate(self, model: AcousticModel) -> Validation:
        """Score the model as it is now; it is left in training mode.

        Raises:
            ManifestError: not one utterance could be scored.
        """
        model.eval()
        part = _Part()
        for batch in self._loader.load(self._batches):
            part.failures += batch.failures
            if not len(batch.indices_b):
                continue
            batch = batch.to(self._fabric.device)
            with self._fabric.autocast():
                log_probs_btv, frames_b = model(batch.samples_bn, batch.lengths_b)
            log_probs_btv = log_probs_btv[..., : model.labels]
            losses_b = ctc_losses(log_probs_btv, frames_b, batch)
            finite_b = losses_b.isfinite()
            part.loss += float(losses_b[finite_b].sum())
            part.labels += int(batch.label_lengths_b[finite_b].sum())
            emissions = log_probs_btv.cpu().numpy()
            for index, emission_tv, frames in zip(batch.indices_b.tolist(), emissions, frames_b.tolist(), strict=True):
                path_t = emission_tv[:frames].argmax(axis=1)
                part.frames += frames
                part.blanks += int((path_t == BLANK).sum())
                part.hypotheses[index] = self._tokenizer.decode(collapse(path_t))
        model.train()
        return self._merge(gathered(self._fabric, part))

    def _merge(self, parts: list[_Part]) -> Validation:
        hypotheses = {index: text for part in parts for index, text in part.hypotheses.items()}
        failures = [failure for part in parts for failure in part.failures]
        if not hypotheses:
            raise ManifestError(
                f"{self._manifest.path}: no utterance could be scored: "
                + "; ".join(f"{failure.id} ({failure.reason})" for failure in failures[:5]),
                f"See what is wrong with: steno data check {self._manifest.path}",
            )
        utterances = ((self._manifest[index], text) for index, text in sorted(hypotheses.items()))
        return Validation(
            sum(part.loss for part in parts) / max(1, sum(part.labels for part in parts)),
            score((utterance.id, utterance.text or "", text) for utterance, text in utterances),
            sum(part.blanks for part in parts) / max(1, sum(part.frames for part in parts)),
            failures,
        )
