"""Starting from a model that is already trained: fine-tuning."""

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from steno.errors import ModelError, RecipeError
from steno.export.torch_model import fresh_model
from steno.models.config import ConformerConfig
from steno.models.conformer import causal_kernels
from steno.models.graph_weights import graph_weights
from steno.models.registry import AcousticModel
from steno.phonemes import PhonemeConfig
from steno.runtime.folder import ONNX, WEIGHTS, FolderConfig, read_config, verified
from steno.tracking.registry import resolve
from steno.training.recipe import Recipe

_STATISTICS = ("frontend.mean", "frontend.std")


def start_from(
    model: AcousticModel, reference: str, recipe: Recipe, uri: str | None, say: Callable[[str], None]
) -> bool:
    """Give a fresh model the weights, and the statistics of the front-end, of one that is trained.

    Of its features only ``normalize`` may differ; then the fresh model's own statistics stay. A conformer becomes
    causal by :func:`~steno.models.conformer.causal_kernels`. What has another shape there, such as the classifier of
    other labels, or has no counterpart, stays fresh and is named with ``say``.

    Args:
        model: changed in place.
        reference: a MODEL, as everywhere: a folder, ``models:/NAME@alias``, ….
        recipe: what the fresh model was made from.
        uri: MLflow's store, for a reference.
        say: takes one line for the user.

    Returns:
        Whether the statistics came with the weights.

    Raises:
        ModelError: no such model, or its files were changed.
        RecipeError: it is of another family, or hears other features.
    """
    folder = resolve(reference, uri)
    config = read_config(folder)
    if recipe.model.architecture != config.model.architecture:
        raise _other(reference, f"model.architecture: {config.model.architecture}, not {recipe.model.architecture}")
    theirs, ours = config.features.model_dump(), recipe.features.model_dump()
    differing = [f"{key} {theirs[key]!r}, not {ours[key]!r}" for key in theirs if theirs[key] != ours[key]]
    if any(not each.startswith("normalize ") for each in differing):
        raise _other(reference, f"features: {', '.join(differing)}")
    own = model.state_dict()
    found = stored_weights(folder, config)
    own_statistics = _STATISTICS if differing else ()  # of another way to normalise
    found = {name: tensor for name, tensor in found.items() if name not in own_statistics}
    if isinstance(config.model, ConformerConfig) and isinstance(recipe.model, ConformerConfig):
        found = causal_kernels(found) if recipe.model.causal and not config.model.causal else found
    same_labels = {
        "classifier": recipe.tokenizer.build().tokens == config.tokenizer.build().tokens,
        "phonemes": _symbols(recipe.phonemes) == _symbols(config.phonemes),
    }
    taken = {
        name: tensor
        for name, tensor in found.items()
        if name in own and own[name].shape == tensor.shape and same_labels.get(name.split(".")[1], True)
    }
    if not taken:
        raise RecipeError(f"training.start_from {reference}: none of its weights has the shape of one of this model")
    model.load_state_dict(taken, strict=False)
    fresh = [name for name in own if name not in taken and name not in own_statistics]
    other = f", which was trained with features.{differing[0]}" if differing else ""
    say(f"starting from {reference}{other}" + (f"; fresh are {', '.join(fresh)}" if fresh else ""))
    return not differing


def _symbols(phonemes: PhonemeConfig | None) -> tuple[str, ...]:
    return phonemes.symbols if phonemes else ()


def stored_weights(folder: Path, config: FolderConfig) -> dict[str, Tensor]:
    """The weights of a model folder in torch's form, or, where an export has left that out, from its graph.

    Raises:
        ModelError: they cannot be read, or the graph does not give all of them back.
    """
    name = WEIGHTS if WEIGHTS in config.files else ONNX
    path = verified(folder, config, name)
    try:
        found = load_file(path) if name == WEIGHTS else graph_weights(path)
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    if name == ONNX and not found.keys() >= fresh_model(config).state_dict().keys():
        raise ModelError(
            f"{folder}: an export of {config.model.architecture}, whose graph does not give all weights back",
            f"Start from the folder that was exported, which has {WEIGHTS}.",
        )
    return found


def _other(reference: str, what: str) -> RecipeError:
    return RecipeError(
        f"training.start_from {reference}: it was trained with other {what}",
        "Give the recipe the same settings, or start without it.",
    )
