"""The loop: epochs of steps, validation, checkpoints, early stopping."""

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from lightning_fabric import Fabric

from steno.data.batching import WINDOW, Indices, plan_batches
from steno.data.loading import Batch, BatchLoader
from steno.data.manifest import Manifest
from steno.errors import StenoError
from steno.models.layers import statistics
from steno.models.registry import AcousticModel
from steno.training import checkpoint
from steno.training.averaging import ExponentialAverage, Weights, load_weights, mean, swapped, weights_of
from steno.training.display import Display
from steno.training.forward import Forward
from steno.training.interrupt import Interrupt, Interrupted
from steno.training.optim import build_optimizer, one_cycle, set_learning_rate
from steno.training.processes import gathered, summed, told
from steno.training.recipe import Recipe
from steno.training.seen import Seen, SeenLog
from steno.training.state import Best, EpochSums, RunState
from steno.training.validation import Validation, Validator

log = logging.getLogger(__name__)

BLANK_SHARE, BLANK_EPOCHS = 0.995, 3
"""A model that writes blanks for more of the dev set's frames, for so many epochs, says nothing."""
STILL_FALLING = 0.97
"""A dev loss that fell below this share of what it was over those epochs is still falling."""
WILD_STEPS = 20
"""So many steps in a row whose gradient is not finite end the run."""
LAST = "checkpoints/last.safetensors"
METRICS_EVERY_STEPS = 10


class MetricLog(Protocol):
    """Where curves go."""

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Values of one step, from 1."""


class Trainer:
    """Trains one model.

    Nothing of a step depends on what was random before it: its dropout is seeded by the step, its data by the
    epoch. So a run that is resumed anywhere gives the numbers of one that was never stopped.

    Args:
        fabric: processes, device and precision.
        recipe: the experiment.
        model: with its normalisation set.
        manifest: the training set.
        indices: which of its utterances are trained on.
        loader: loads them, this process's share of each batch.
        validator: of the dev set.
        run_dir: where checkpoints go.
        metrics: where curves go.
        display: shows progress.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        model: AcousticModel,
        manifest: Manifest,
        indices: Indices,
        loader: BatchLoader,
        validator: Validator,
        run_dir: Path,
        metrics: MetricLog,
        display: Display,
    ) -> None:
        self._fabric, self._recipe, self._run_dir = fabric, recipe, run_dir
        self._manifest, self._indices, self._loader = manifest, indices, loader
        self._validator, self._metrics, self._display = validator, metrics, display
        self.state = RunState()
        self.model = model.to(fabric.device)
        self._optimizer = build_optimizer(self.model, recipe.optimizer, self.model.learning_rate_scales())
        self._wrapped, self._wrapped_optimizer = fabric.setup(self.model, self._optimizer)
        self._forward = Forward(fabric, recipe, self.model, self._wrapped)
        self._seen: SeenLog | None = None
        averages = recipe.training.average == "ema"
        self._average = ExponentialAverage(self.model, recipe.training.ema_decay) if averages else None
        self._saved_at = time.monotonic()
        self._silent, self._wild = False, 0

    # ---- the run -------------------------------------------------------------------------------------------

    def fit(self, interrupt: Interrupt) -> None:
        """Train from where the state is to the end of the recipe, or until dev WER has stopped to fall.

        Raises:
            Interrupted: a signal came; the run can be resumed.
            StenoError: too many utterances could not be used.
        """
        settings = self._recipe.training
        if settings.log_utterances and self._fabric.is_global_zero:
            self._seen = SeenLog(self._run_dir, self.state.step)
        while not self.is_over:
            self._train_epoch(interrupt)
            self._end_epoch(self._validate())

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or no further one promises anything."""
        return self.state.epoch >= self._recipe.training.epochs or self._out_of_patience()

    def final_weights(self) -> Weights:
        """The weights that the recipe asks for: the best checkpoint's, or the mean of the best ones."""
        kept = self.state.best if self._recipe.training.average == "best" else self.state.best[:1]
        return mean(checkpoint.load(self._run_dir / best.file)[0] for best in kept)

    def use(self, weights: Weights) -> None:
        """Give the model these weights."""
        load_weights(self.model, weights)

    def resume(self) -> None:
        """Continue from the last checkpoint of the run's folder, which the first process reads."""
        loaded = checkpoint.load(self._run_dir / LAST) if self._fabric.is_global_zero else ({}, {})
        tensors, state = told(self._fabric, *loaded)
        self.state = RunState.from_dict(state)
        self.model.load_state_dict(checkpoint.unprefixed("model", tensors))
        checkpoint.load_optimizer(self._optimizer, checkpoint.unprefixed("optimizer", tensors))
        if self._average is not None:
            for name, value in checkpoint.unprefixed("average", tensors).items():
                self._average.weights[name].copy_(value)
            self._average.steps = self.state.ema_steps

    # ---- an epoch ------------------------------------------------------------------------------------------

    def _train_epoch(self, interrupt: Interrupt) -> None:
        state = self.state
        planned = self._planned(state.epoch)
        self._display.epoch(state.epoch + 1, self._recipe.training.epochs, len(planned), state.batch)
        self.model.train()
        started = time.monotonic()
        left = planned[state.batch :]
        for batch in self._loader.load([batch for _, batch in left], [number for number, _ in left]):
            self._step(batch, len(planned), interrupt)
            now = time.monotonic()
            state.sums.wall_seconds += now - started
            started = now
            if interrupt.agreed:
                self._save()
                self._fabric.barrier()  # torchrun ends all when the first one leaves, which must not be in mid-save
                raise Interrupted
            if now - self._saved_at >= self._recipe.training.checkpoint_seconds:
                self._save()

    def _planned(self, epoch: int) -> list[tuple[int, Indices]]:
        """The batches of an epoch, each with the number of its pass through the data."""
        data = self._recipe.data
        return [
            (number, batch)
            for number in range(epoch * data.passes, (epoch + 1) * data.passes)
            for batch in plan_batches(
                self._loader.dataset.durations(self._indices, number),
                self._indices,
                batch_seconds=data.batch_seconds,
                batch_size=data.batch_size,
                seed=self._recipe.seed,
                number=number,
                by_length=epoch < data.short_first,
                shard_starts=self._manifest.shard_starts,
                window=data.shuffle_shards or WINDOW,
            )
        ]

    def _end_epoch(self, validation: Validation) -> None:
        state, sums = self.state, self.state.sums
        row = {
            "train_loss": sums.loss / max(1, sums.labels),
            "dev_loss": validation.loss,
            "dev_wer": validation.scores.wer,
            "dev_cer": validation.scores.cer,
            "dev_blank_share": validation.blank_share,
            "skipped_utterances": float(sums.bad),
            "audio_hours_per_hour": sums.audio_seconds / max(sums.wall_seconds, 1e-9),
            "epoch_seconds": sums.wall_seconds,
        }
        state.epoch, state.batch, state.sums = state.epoch + 1, 0, EpochSums()
        state.history.append({"epoch": float(state.epoch), "step": float(state.step), **row})
        self._metrics.log_metrics({**row, "epoch": float(state.epoch)}, state.step)
        self._display.summary(state.epoch, row, self._examples(validation))
        self._tell_if_silent()
        self._keep_if_good(row["dev_wer"], row["dev_cer"])
        self._save()

    def _tell_if_silent(self) -> None:
        """Name the collapse to blanks, once: CTC's way to fail. A loss that falls shows that a model is on its way."""
        rows = self.state.history[-BLANK_EPOCHS:]
        silent = len(rows) == BLANK_EPOCHS and min(row.get("dev_blank_share", 0.0) for row in rows) > BLANK_SHARE
        silent = silent and not rows[-1]["dev_loss"] < STILL_FALLING * rows[0]["dev_loss"]
        warmed_up = self.state.epoch > self._recipe.schedule.warmup * self._recipe.training.epochs
        if silent and warmed_up and not self._silent:
            self._display.message(
                f"the model says nothing: for {BLANK_EPOCHS} epochs more than {BLANK_SHARE:.1%} of the dev set's "
                "frames are blank, and dev loss does not fall. Lower optimizer.lr or lengthen schedule.warmup, "
                "take more and smaller steps (data.batch_seconds), begin with short utterances (data.short_first=1), "
                f"and look for wrong transcripts: steno data check {self._manifest.path}"
            )
        self._silent = silent and warmed_up

    def _validate(self) -> Validation:
        self._share_statistics()
        with swapped(self.model, self._average.weights if self._average else None):
            validation = self._validator.validate(self.model)
        for failure in validation.failures:
            self._name_bad(failure.id, failure.reason)
        return validation

    def _share_statistics(self) -> None:
        """The running statistics of batch normalisation become the mean of those of all processes."""
        if self._fabric.world_size == 1:
            return
        own = statistics(self.model)
        averaged = [self._average.weights[name] for name in own] if self._average else []
        for statistic in (*own.values(), *averaged):
            torch.distributed.all_reduce(statistic)
            statistic /= self._fabric.world_size

    def _examples(self, validation: Validation) -> list[tuple[str, str]]:
        scored = validation.scores.utterances
        count = min(self._recipe.training.examples, len(scored))
        chosen = np.linspace(0, len(scored) - 1, count).astype(int).tolist() if count else []
        return [(scored[i].reference, scored[i].hypothesis) for i in chosen]

    def _out_of_patience(self) -> bool:
        patience = self._recipe.training.patience
        if patience is None or self.state.epochs_without_gain < patience:
            return False
        self._display.message(f"stopping early: dev WER has not fallen for {patience} epochs")
        return True

    # ---- a step --------------------------------------------------------------------------------------------

    def _step(self, batch: Batch, batches: int, interrupt: Interrupt) -> None:
        state, settings = self.state, self._recipe.training
        torch.manual_seed(_step_seed(self._recipe.seed, state.step, self._fabric.global_rank))
        progress = (state.epoch + state.batch / batches) / settings.epochs
        lr = self._recipe.optimizer.lr * one_cycle(progress, self._recipe.schedule)
        set_learning_rate(self._optimizer, lr)

        (planned,) = summed(self._fabric, [float(batch.label_lengths_b.sum())])
        mine, bad = self._backward(batch, max(1.0, planned))
        totals = summed(self._fabric, [*mine, float(len(bad)), float(interrupt.requested)])
        loss_sum, labels, utterances, audio_seconds, bad_count, stops = totals
        if bad_count:
            self._skip(bad, int(bad_count))
        if labels != planned:
            self._scale_gradients(planned / max(1.0, labels))
        if self._recipe.training.log_utterances:
            self._log_seen(batch, bad)
        norm = self._update()

        interrupt.agreed = stops > 0
        state.sums.loss += loss_sum
        state.sums.labels += int(labels)
        state.sums.utterances += int(utterances)
        state.sums.audio_seconds += audio_seconds
        state.batch += 1
        state.step += 1
        mean_loss = loss_sum / max(1.0, labels)
        self._display.step(mean_loss, audio_seconds, (state.epoch + state.batch / batches) / settings.epochs)
        if state.step % METRICS_EVERY_STEPS == 0 or state.step == 1:
            self._metrics.log_metrics(
                {"train_loss_step": mean_loss, "learning_rate": lr, "gradient_norm": norm}, state.step
            )

    def _backward(self, batch: Batch, labels: float) -> tuple[list[float], list[tuple[str, str]]]:
        """Gradients of the loss a label, part by part; the processes exchange them once, with the last part.

        ``labels`` are those of the global batch. Returns this process's sum of losses, labels, utterances and seconds
        of what could be used; and what could not be, with the reasons.
        """
        fabric, rate = self._fabric, self._recipe.features.sample_rate
        bad = [(failure.id, failure.reason) for failure in batch.failures]
        sums = np.zeros(4)
        parts = batch.parts(self._recipe.training.accumulate)
        for number, part in enumerate(parts, start=1):
            with fabric.no_backward_sync(self._wrapped, enabled=number < len(parts)):
                loss, used, found = self._forward(part.to(fabric.device), self.state.epoch)
                fabric.backward(loss * (fabric.world_size / labels))
            bad += [(self._manifest[one.index].id, one.reason) for one in found]
            used_labels = int(used.label_lengths_b.sum())
            sums += [float(loss.detach()), used_labels, len(used.indices_b), used.seconds(rate)]
        return sums.tolist(), bad

    def _scale_gradients(self, factor: float) -> None:
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        torch._foreach_mul_(gradients, factor)

    def _log_seen(self, batch: Batch, bad: list[tuple[str, str]]) -> None:
        skipped = {identity for identity, _ in bad}
        met = [self._manifest[index].id for index in batch.indices_b.tolist()]
        mine = [Seen(identity, identity not in skipped) for identity in met]
        everyone = gathered(self._fabric, mine + [Seen(failure.id, False) for failure in batch.failures])
        if self._seen is not None:
            self._seen.write(self.state.epoch + 1, self.state.step + 1, everyone)

    def _update(self) -> float:
        """Clip, step and average; returns the gradient's norm. A gradient that is not finite changes nothing."""
        clip = self._recipe.training.grad_clip
        # Not Fabric's, which clips what the optimiser holds: Muon holds views.
        value = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip or float("inf")))
        if np.isfinite(value):
            self._wrapped_optimizer.step()
            if self._average is not None:
                self._average.update(self.model)
                self.state.ema_steps = self._average.steps
            self._wild = 0
        else:
            self._wild += 1
            log.warning("step %d: the gradient is not finite; the step is skipped", self.state.step + 1)
            if self._wild == WILD_STEPS:
                raise StenoError(
                    f"the gradient has not been finite for {WILD_STEPS} steps, the last of them {self.state.step + 1}",
                    "Start again from before with a lower optimizer.lr, or with training.precision=32. "
                    "See docs/troubleshooting.md.",
                )
        self._wrapped_optimizer.zero_grad()
        return value

    # ---- utterances that cannot be used --------------------------------------------------------------------

    def _skip(self, mine: list[tuple[str, str]], count: int) -> None:
        for identity, reason in (pair for part in gathered(self._fabric, mine) for pair in part):
            self._name_bad(identity, reason)
        sums = self.state.sums
        sums.bad += count
        used = len(self._indices) * self._recipe.data.passes
        if sums.bad > max(1.0, self._recipe.training.max_bad * used):
            named = list(self.state.bad.items())[-5:]
            raise StenoError(
                f"{sums.bad} of {used} utterances could not be used in this epoch, the last of them: "
                + "; ".join(f"{identity} ({reason})" for identity, reason in named),
                f"Find and remove them with: steno data check {self._manifest.path} --fix clean.jsonl "
                "(or allow more of them with training.max_bad=…)",
            )

    def _name_bad(self, identity: str, reason: str) -> None:
        if self.state.bad.get(identity) != reason:
            self.state.bad[identity] = reason
            self._display.message(f"skipped {identity}: {reason}")

    # ---- checkpoints ---------------------------------------------------------------------------------------

    def _keep_if_good(self, wer: float, cer: float) -> None:
        """Keep the weights if they are among the best, and drop those that no longer are."""
        state = self.state
        entry = Best(f"checkpoints/epoch-{state.epoch:04d}.safetensors", state.epoch, wer, cer)
        gained = not state.best or entry.rank < state.best[0].rank
        state.epochs_without_gain = 0 if gained else state.epochs_without_gain + 1
        state.best = sorted([*state.best, entry], key=lambda best: best.rank)[: self._recipe.training.keep_best]
        if not self._fabric.is_global_zero:
            return
        if entry in state.best:
            weights = self._average.weights if self._average else weights_of(self.model)
            checkpoint.save(self._run_dir / entry.file, weights, asdict(entry))

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if not self._fabric.is_global_zero:
            return
        tensors = checkpoint.prefixed("model", checkpoint.model_tensors(self.model))
        tensors |= checkpoint.prefixed("optimizer", checkpoint.optimizer_tensors(self._optimizer))
        if self._average is not None:
            tensors |= checkpoint.prefixed("average", self._average.weights)
        checkpoint.save(self._run_dir / LAST, tensors, self.state.to_dict())
        kept = {best.file for best in self.state.best} | {LAST}
        for path in (self._run_dir / LAST).parent.glob("epoch-*.safetensors"):
            if str(path.relative_to(self._run_dir)) not in kept:
                path.unlink()


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)
