"""From trained weights to a model folder that was measured as it will be served."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

import steno
from steno.data.manifest import Manifest
from steno.errors import StenoError
from steno.evaluation.measure import evaluate_manifest
from steno.evaluation.score import Scores
from steno.models.export import export_onnx
from steno.models.registry import AcousticModel
from steno.models.stream_export import can_stream, export_stream
from steno.runtime import Recognizer
from steno.runtime.folder import (
    CARD,
    ONNX,
    STREAM,
    WEIGHTS,
    DecodingFiles,
    FolderConfig,
    read_config,
    verified,
    with_decoding,
    write_config,
)
from steno.storage import shown
from steno.tracking.registry import resolve
from steno.training.card import measured, model_card
from steno.training.recipe import Recipe


def write_model_folder(folder: Path, recipe: Recipe, model: AcousticModel, training: dict[str, Any]) -> FolderConfig:
    """Write weights, graph and configuration; ``training`` is the provenance as far as it is known."""
    config = FolderConfig(
        name=recipe.name,
        features=recipe.features,
        tokenizer=recipe.tokenizer,
        model=recipe.model,
        phonemes=recipe.phonemes and recipe.phonemes.model_copy(update={"frames": None}),
        provenance={"steno": steno.__version__, "recipe": recipe.name, "seed": recipe.seed, **training},
    )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_model(folder, config, model)
    return config


def write_model(folder: Path, config: FolderConfig, model: AcousticModel) -> None:
    """Write weights, graph and configuration into an empty folder."""
    model = model.cpu().eval()
    save_file({name: tensor.contiguous() for name, tensor in model.weights().items()}, folder / WEIGHTS)
    export_onnx(model, folder / ONNX)
    if can_stream(model):
        export_stream(model, folder / STREAM)
    write_config(folder, config)


def inherit_decoding(folder: Path, reference: str, uri: str | None, say: Callable[[str], None]) -> None:
    """Give a fine-tuned model the language models of the one that it started from, and their weights.

    Nothing happens where that one has none, or other labels, or cannot be had any more; phonemes have no say where the
    two have other ones. Confidences are not calibrated.

    Args:
        folder: the model, measured without them.
        reference: the MODEL that it started from.
        uri: MLflow's store, for a reference.
        say: takes one line for the user.
    """
    config = read_config(folder)
    try:
        start = resolve(reference, uri)
        theirs = read_config(start)
    except StenoError as error:
        say(f"the language model of {reference} cannot be taken along: {error.message}")
        return
    decoding = theirs.decoding
    if decoding.lm is None or config.tokenizer.build().tokens != theirs.tokenizer.build().tokens:
        return
    if (config.phonemes and config.phonemes.symbols) != (theirs.phonemes and theirs.phonemes.symbols):
        decoding = decoding.model_copy(
            update={"pronunciations": None, "phoneme_share": 0.0, "phoneme_prior": (), "sound_words": 0}
        )
    for name in decoding.files:
        shutil.copyfile(verified(start, theirs, name), folder / name)
    told = (
        f"It decodes with the language models of `{reference}` and the weights that were found for that model: "
        "`steno lm tune` finds better ones. The figures above are greedy decoding's."
    )
    with_decoding(
        folder,
        folder,
        decoding.model_copy(update={"calibration": {}}),
        DecodingFiles(),
        {"inherited_from": reference},
        told,
    )
    say(f"decodes with the language model of {reference}, and its weights; steno lm tune finds better ones")


def measure(
    folder: Path, config: FolderConfig, parts: dict[str, Manifest], parameters: int, say: Callable[[str], None]
) -> dict[str, Scores]:
    """Evaluate the folder on each part, and write what was found into its configuration and its card.

    Utterances that could not be scored are named with ``say``; a part of which none could be has no scores.
    """
    recognizer = Recognizer(folder)
    scores, found = {}, {}
    for name, manifest in parts.items():
        part, left_out = evaluate_manifest(recognizer, manifest)
        for utterance in left_out:
            say(f"{name}: left out {utterance.id}: {utterance.reason}")
        if part.utterances:
            scores[name] = part
            found[name] = measured(part, shown(manifest.path), manifest.digest, manifest.hours)
        else:
            say(f"{name}: not measured, no utterance of {manifest.path} could be scored")
    config = config.model_copy(update={"provenance": {**config.provenance, "measured": found}})
    write_config(folder, config)
    (folder / CARD).write_text(model_card(config, parameters), encoding="utf-8")
    return scores
