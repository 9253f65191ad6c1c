"""Starting from a model that is already trained: fine-tuning."""

from collections.abc import Callable

from safetensors import SafetensorError
from safetensors.torch import load_file

from steno.errors import ModelError, RecipeError
from steno.models.registry import AcousticModel
from steno.runtime.folder import WEIGHTS, read_config, verified
from steno.tracking.registry import resolve
from steno.training.recipe import Recipe


def start_from(
    model: AcousticModel, reference: str, recipe: Recipe, uri: str | None, say: Callable[[str], None]
) -> None:
    """Give a fresh model the weights, and the statistics of the front-end, of one that is trained.

    What has another shape there, such as the classifier of other labels, or has no counterpart, stays fresh and is
    named with ``say``.

    Args:
        model: changed in place.
        reference: a MODEL, as everywhere: a folder, ``models:/NAME@alias``, ….
        recipe: what the fresh model was made from.
        uri: MLflow's store, for a reference.
        say: takes one line for the user.

    Raises:
        ModelError: no such model, or it holds no weights.
        RecipeError: it is of another family, or hears other features.
    """
    folder = resolve(reference, uri)
    config = read_config(folder)
    for key, ours, theirs in (
        ("model.architecture", recipe.model.architecture, config.model.architecture),
        ("features", recipe.features, config.features),
    ):
        if ours != theirs:
            raise RecipeError(
                f"training.start_from {reference}: it was trained with other {key}: {_differing(theirs, ours)}",
                "Give the recipe the same settings, or start without it.",
            )
    try:
        found = load_file(verified(folder, config, WEIGHTS))
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS}: cannot be read ({error})") from error
    own = model.state_dict()
    same_labels = recipe.tokenizer.build().tokens == config.tokenizer.build().tokens
    taken = {
        name: tensor
        for name, tensor in found.items()
        if name in own and own[name].shape == tensor.shape and (same_labels or "classifier" not in name.split("."))
    }
    if not taken:
        raise RecipeError(f"training.start_from {reference}: none of its weights has the shape of one of this model")
    model.load_state_dict(taken, strict=False)
    fresh = [name for name in own if name not in taken]
    say(f"starting from {reference}" + (f"; fresh are {', '.join(fresh)}" if fresh else ""))


def _differing(theirs: object, ours: object) -> str:
    if isinstance(theirs, str):
        return f"{theirs}, not {ours}"
    there, here = (settings.model_dump() for settings in (theirs, ours))  # type: ignore[attr-defined]
    return ", ".join(f"{key} {there[key]!r}, not {here[key]!r}" for key in there if there[key] != here[key])
