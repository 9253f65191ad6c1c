"""The model of a folder in torch, as it was trained."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from steno.errors import ModelError
from steno.models.registry import AcousticModel
from steno.runtime.folder import WEIGHTS, FolderConfig, verified


def load_model(folder: Path, config: FolderConfig) -> AcousticModel:
    """The acoustic model with the folder's weights, for evaluation, on the CPU.

    Raises:
        ModelError: the weights are missing, changed, or those of another model.
    """
    path = verified(folder, config, WEIGHTS)
    model = fresh_model(config)
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path}: not the weights of this model ({str(error).splitlines()[0]})") from error
    return model.eval()


def fresh_model(config: FolderConfig) -> AcousticModel:
    """The acoustic model of a folder, with weights of its own."""
    return AcousticModel(config.features, config.model, len(config.tokenizer.build()), config.phonemes)
