"""A whole run: manifests, statistics, training, the model folder, its measurement, MLflow."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies.ddp import DDPStrategy

from steno.data.alignment import Alignment
from steno.data.batching import Indices, group_sorted
from steno.data.loading import BatchLoader, UtteranceDataset
from steno.data.manifest import Manifest
from steno.errors import ManifestError, RecipeError
from steno.evaluation.score import Scores
from steno.models.config import Wav2Vec2Config
from steno.models.registry import AcousticModel
from steno.models.wav2vec2 import Wav2Vec2
from steno.phonemes import Pronunciations, pronounce
from steno.storage import absolute, shown
from steno.text import words
from steno.tracking.tracker import NullTracker, RunLog, Tracker
from steno.training import elastic, run_folder
from steno.training.display import Display, SilentDisplay
from steno.training.flat_start import flat_start
from steno.training.interrupt import Interrupt
from steno.training.memory import keep_freed_memory, keep_kernels
from steno.training.plots import curves
from steno.training.processes import parted, told
from steno.training.publish import inherit_decoding, measure, write_model_folder
from steno.training.recipe import Recipe, dump_recipe, flat_params
from steno.training.run_folder import RECIPE
from steno.training.settle import read_settled, settle
from steno.training.start import start_from
from steno.training.statistics import corpus_statistics, sample_indices
from steno.training.trainer import Trainer
from steno.training.validation import Validator

MODEL = "model"
ALIGNMENT = "alignment.npz"
"""Which phonemes the frames of the training recordings are of, in the run's folder, where that is trained on."""


@dataclass(frozen=True)
class RunResult:
    """What a run left behind. ``scores`` has an entry for dev, and for test if the recipe names one."""

    run_dir: Path
    model: Path
    scores: dict[str, Scores]
    run_id: str | None
    version: int | None


@dataclass(frozen=True)
class _Run:
    """A run that has begun: what most of its parts need."""

    recipe: Recipe
    run_dir: Path
    fabric: Fabric
    manifests: dict[str, Manifest]
    tracker: RunLog
    display: Display
    resume: bool
    tracking_uri: str | None


def train(
    recipe: Recipe,
    run_dir: Path,
    *,
    display: Display,
    resume: bool = False,
    overwrite: bool = False,
    change: bool = False,
    tracking_uri: str | None = None,
    tracked: bool = True,
    tags: Mapping[str, str] | None = None,
) -> RunResult:
    """Train, publish, measure and track one model.

    Args:
        recipe: the experiment.
        run_dir: folder of the run's checkpoints, recipe and model.
        display: shows progress.
        resume: continue the run that is in ``run_dir``. So does torchrun's next attempt at a run, by itself.
        overwrite: delete what is in ``run_dir`` first.
        change: of a run that is continued, how long and how fast it learns may be other than when it was started.
        tracking_uri: MLflow's store; None takes the environment's, else the embedded one.
        tracked: whether MLflow hears of the run at all.
        tags: further tags of the tracked run.

    Raises:
        Interrupted: a signal came; the run is saved.
        StenoError: a manifest, a setting or the run's folder is not usable.
    """
    manifests = _open_manifests(recipe)
    fabric = _fabric(recipe)
    main = fabric.is_global_zero
    display = display if main else SilentDisplay()
    if main:
        resume = run_folder.prepare(
            recipe, run_dir, manifests, display.message, resume=resume, overwrite=overwrite, change=change
        )
    resume = fabric.broadcast(resume)
    tracker: RunLog = NullTracker()
    if tracked and main:
        experiment = recipe.tracking.experiment
        tracker = Tracker.start(run_dir, experiment=experiment, run_name=recipe.name, uri=tracking_uri, tags=tags)
    with tracker:
        try:
            result = _run(_Run(recipe, run_dir, fabric, manifests, tracker, display, resume, tracking_uri))
            parted(fabric)
        finally:
            display.close()
    return result


def _run(run: _Run) -> RunResult:
    given, run_dir, fabric, manifests = run.recipe, run.run_dir, run.fabric, run.manifests
    tracker, display, resume, tracking_uri = run.tracker, run.display, run.resume, run.tracking_uri
    indices = _training_indices(given, manifests["train"], display)
    if fabric.is_global_zero and not resume:
        settle(given, run_dir, manifests["train"], indices, tracking_uri)
    # The first process tells the others: on other machines the run's folder may be another one.
    recipe = fabric.broadcast(read_settled(given, run_dir) if fabric.is_global_zero else given)
    run = replace(run, recipe=recipe)
    torch.manual_seed(recipe.seed)
    tokenizer = recipe.tokenizer.build()
    model = AcousticModel(recipe.features, recipe.model, len(tokenizer), recipe.phonemes)
    if isinstance(model.encoder, Wav2Vec2) and not resume:
        model.encoder.load()
    parameters = sum(p.numel() for p in model.parameters())
    _log_start(tracker, given, manifests, indices, parameters)
    display.message(
        f"{recipe.name}: {len(indices)} utterances, {_hours(manifests['train'], indices):.2f} h; dev "
        f"{len(manifests['dev'])} utterances, {manifests['dev'].hours:.2f} h; {parameters:,} parameters; "
        f"{fabric.world_size} × {fabric.device.type}"
    )
    start, by_corpus = recipe.training.start_from, recipe.features.normalize == "corpus"
    if not start and not resume and by_corpus:
        _set_statistics(recipe, model, manifests["train"], indices)
    if start and not resume:
        if fabric.is_global_zero and not start_from(model, start, recipe, tracking_uri, display.message) and by_corpus:
            _set_statistics(recipe, model, manifests["train"], indices)
        model.load_state_dict(told(fabric, dict(model.state_dict()), {})[0])
    rate = recipe.features.sample_rate
    pronunciations = _pronunciations(recipe, manifests["train"], indices)
    alignment = None
    if pronunciations is not None and recipe.phonemes and recipe.phonemes.frames:
        alignment = _alignment(run, indices, pronunciations)
    dev_set = UtteranceDataset(manifests["dev"], tokenizer, sample_rate=rate)
    train_set = UtteranceDataset(
        manifests["train"],
        tokenizer,
        recipe.augment,
        recipe.seed,
        rate,
        views=2 if recipe.training.consistency else 1,
        pronunciations=pronunciations,
        alignment=alignment,
    )
    on_gpu = fabric.device.type == "cuda"
    loader, dev_loader = (
        BatchLoader(
            dataset,
            recipe.data.workers,
            fabric.global_rank,
            fabric.world_size,
            pinned=on_gpu,
            few_lengths=not on_gpu,
        )
        for dataset in (train_set, dev_set)
    )
    batch_size, batch_seconds = recipe.data.batch_size, recipe.data.batch_seconds
    validator = Validator(fabric, manifests["dev"], dev_loader, tokenizer, batch_seconds, batch_size)
    trainer = Trainer(fabric, recipe, model, manifests["train"], indices, loader, validator, run_dir, tracker, display)
    if resume:
        trainer.resume()
        if trainer.is_over and fabric.broadcast(run_folder.is_finished(run_dir, trainer.state.epoch)):
            display.message(
                f"the run was finished after epoch {trainer.state.epoch}; its model stays as it is now. To train on: "
                "--resume --change training.epochs=N"
            )
            return RunResult(run_dir, run_dir / MODEL, {}, tracker.run_id, None)
        display.message(f"resumed at epoch {trainer.state.epoch + 1}, batch {trainer.state.batch + 1}")
    with Interrupt() as interrupt:
        trainer.fit(interrupt)
    if not fabric.is_global_zero:
        return RunResult(run_dir, run_dir / MODEL, {}, None, None)
    scores = _publish(run, trainer, indices, parameters)
    if recipe.training.start_from:
        inherit_decoding(run_dir / MODEL, recipe.training.start_from, tracking_uri, display.message)
    version = _log_end(run, trainer, scores)
    run_folder.finish(run_dir, trainer.state.epoch)
    return RunResult(run_dir, run_dir / MODEL, scores, tracker.run_id, version)


# ---- before training -------------------------------------------------------------------------------------------


def _open_manifests(recipe: Recipe) -> dict[str, Manifest]:
    paths = {"train": recipe.data.train, "dev": recipe.data.dev, "test": recipe.data.test}
    manifests = {part: Manifest(path) for part, path in paths.items() if path is not None}
    if recipe.data.shuffle_shards and manifests["train"].shard_starts is None:
        raise RecipeError(f"data.shuffle_shards does nothing: {manifests['train'].path} is no folder of shards")
    for part, manifest in manifests.items():
        if not any(words(utterance.text or "") for utterance in manifest):
            raise ManifestError(
                f"{manifest.path}: no utterance of the {part} set has text", "Training and scoring need transcripts."
            )
    return manifests


class _Bf16(MixedPrecision):
    """bf16 within the model; its input, samples and the numbers that place the masks, keeps its precision."""

    def convert_input(self, data: Any) -> Any:
        return data


def _fabric(recipe: Recipe) -> Fabric:
    """One process, or the one that torchrun started, with its device and precision."""
    wanted = recipe.training.device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RecipeError("training.device is cuda, but torch sees no GPU here", "Set training.device=auto or cpu.")
    accelerator = "cuda" if torch.cuda.is_available() and wanted != "cpu" else "cpu"
    # Fabric advises every owner of a newer GPU to round float32, which the front-end needs whole.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    bf16 = {"auto": accelerator == "cuda" and torch.cuda.is_bf16_supported(), "bf16": True, "32": False}
    if accelerator == "cpu":
        keep_freed_memory()
        keep_kernels()
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=max(1, world // local),
        # A process with a bad utterance runs the model once more: no buffers may be exchanged when it does.
        # Where a step may skip a block or a mask, other processes must not wait for the gradient of its weights.
        strategy=DDPStrategy(
            broadcast_buffers=False,
            find_unused_parameters=isinstance(recipe.model, Wav2Vec2Config)
            or getattr(recipe.model, "layer_drop", 0.0) > 0,
        )
        if world > 1
        else "auto",
        plugins=_Bf16("bf16-mixed", accelerator) if bf16[recipe.training.precision] else None,
    )
    if world > 1:
        elastic.join("nccl" if accelerator == "cuda" else "gloo")
    fabric.launch()
    return fabric


def _training_indices(recipe: Recipe, manifest: Manifest, display: Display) -> Indices:
    """Those that are used: the first ``limit``, without the ones that are too long; the latter are named."""
    first = np.arange(len(manifest))[: recipe.data.limit]
    fits = manifest.durations[first] <= min(recipe.data.max_seconds, recipe.data.batch_seconds)
    for index in first[~fits]:
        utterance = manifest[int(index)]
        display.message(
            f"left out {utterance.id}: {utterance.duration:.1f} s is longer than data.max_seconds or data.batch_seconds"
        )
    if not fits.any():
        raise ManifestError(f"{manifest.path}: every utterance is longer than data.max_seconds or data.batch_seconds")
    return first[fits]


def _pronunciations(recipe: Recipe, manifest: Manifest, indices: Indices) -> Pronunciations | None:
    """What the words of the training transcripts sound like, where the recipe has phonemes."""
    if recipe.phonemes is None:
        return None
    said = (word for index in indices for word in words(manifest[int(index)].text or ""))
    symbols, voice = recipe.phonemes.symbols, recipe.phonemes.voice
    return Pronunciations(pronounce(said, voice), symbols, voice)


def _alignment(run: _Run, indices: Indices, pronunciations: Pronunciations) -> Alignment:
    """Of the training recordings with their phonemes: what the run's folder holds, or a new one."""
    path, found = run.run_dir / ALIGNMENT, None
    if run.fabric.is_global_zero and run.resume and path.exists():
        found = Alignment.load(path)
    elif run.fabric.is_global_zero:
        found = flat_start(run.recipe, run.manifests["train"], indices, pronunciations, run.display.message)
        found.save(path)
    # The first process tells the others, which may be on other machines.
    alignment = run.fabric.broadcast(found)
    assert alignment is not None
    if left := len(indices) - alignment.aligned:
        run.display.message(f"not aligned: {left} utterances, too short or with words whose phonemes are not known")
    return alignment


def _set_statistics(recipe: Recipe, model: AcousticModel, manifest: Manifest, indices: Indices) -> None:
    chosen = sample_indices(manifest.durations, indices, recipe.seed)
    batches = group_sorted(
        manifest.durations,
        chosen[np.argsort(manifest.durations[chosen], kind="stable")],
        recipe.data.batch_seconds,
        recipe.data.batch_size,
    )
    dataset = UtteranceDataset(manifest, recipe.tokenizer.build(), sample_rate=recipe.features.sample_rate)
    loader = BatchLoader(dataset, workers=0)
    model.frontend.set_statistics(*corpus_statistics(model.frontend, loader.load(batches)))


# ---- after training --------------------------------------------------------------------------------------------


def _publish(run: _Run, trainer: Trainer, indices: Indices, parameters: int) -> dict[str, Scores]:
    recipe = run.recipe
    trainer.use(trainer.final_weights())
    best = trainer.state.best
    which = {
        "ema": f"exponential moving average at epoch {best[0].epoch}",
        "best": "mean of epochs " + ", ".join(str(b.epoch) for b in best),
        "none": f"epoch {best[0].epoch}",
    }
    train_set = run.manifests["train"]
    changed, start = run_folder.changes(run.run_dir), recipe.training.start_from
    training: dict[str, Any] = {
        "train": {
            "manifest": shown(train_set.path),
            "digest": train_set.digest,
            "utterances": len(indices),
            "hours": round(_hours(train_set, indices), 3),
        },
        "epochs": trainer.state.epoch,
        **({"changed": changed} if changed else {}),
        **({"started_from": start} if start else {}),
        "weights": which[recipe.training.average],
    }
    folder = run.run_dir / MODEL
    config = write_model_folder(folder, recipe, trainer.model, training)
    parts = {part: manifest for part, manifest in run.manifests.items() if part != "train"}
    return measure(folder, config, parts, parameters, run.display.message)


def _hours(manifest: Manifest, indices: Indices) -> float:
    return float(manifest.durations[indices].sum(dtype=np.float64)) / 3600


def _log_start(
    tracker: RunLog, recipe: Recipe, manifests: dict[str, Manifest], indices: Indices, parameters: int
) -> None:
    tracker.log_params({**flat_params(recipe), "parameters": parameters})
    tracker.log_text(dump_recipe(recipe), RECIPE)
    for part, manifest in manifests.items():
        utterances = len(indices) if part == "train" else len(manifest)
        hours = _hours(manifest, indices) if part == "train" else manifest.hours
        profile = {"utterances": utterances, "hours": round(hours, 3)}
        tracker.log_dataset(manifest.path.stem, manifest.digest, shown(absolute(manifest.path)), part, profile)


def _log_end(run: _Run, trainer: Trainer, scores: dict[str, Scores]) -> int | None:
    tracker = run.tracker
    final: dict[str, float] = {}
    for part, found in scores.items():
        wer, cer = found.wer_interval(), found.cer_interval()
        final |= {f"final_{part}_wer": found.wer, f"final_{part}_cer": found.cer}
        final |= {f"final_{part}_wer_low": wer.low, f"final_{part}_wer_high": wer.high}
        final |= {f"final_{part}_cer_low": cer.low, f"final_{part}_cer_high": cer.high}
        tracker.log_table(
            [
                {"id": u.id, "target": u.reference, "predicted": u.hypothesis, "wer": round(u.words.rate, 4)}
                for u in found.utterances[:200]
            ],
            f"predictions/{part}.json",
        )
    tracker.log_metrics(final, trainer.state.step)
    tracker.log_figure(curves(trainer.state.history), "plots/curves.png")
    if trainer.state.bad:
        lines = "".join(f"{identity}\t{reason}\n" for identity, reason in trainer.state.bad.items())
        tracker.log_text(lines, "skipped-utterances.tsv")
    name = run.recipe.tracking.register_as
    version = tracker.log_model(run.run_dir / MODEL, registered_name=name, metrics=final)
    return version.version if version else None
