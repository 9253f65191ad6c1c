"""The language model that an option names: a file, or a model folder or bundled model, which has one."""

from pathlib import Path
from typing import Literal


def language_model(named: Path, kind: Literal["lm", "neural_lm"]) -> Path:
    """The file; ``small-en`` and model folders stand for theirs.

    Raises:
        ModelError: the folder has no such file.
    """
    from steno.errors import ModelError
    from steno.runtime import bundled
    from steno.runtime.folder import read_config, verified

    folder = named if named.is_dir() else None if named.exists() else bundled.folder(str(named))
    if folder is None:
        return named
    config = read_config(folder)
    name = getattr(config.decoding, kind)
    if name is None:
        raise ModelError(f"{named}: has no {'neural ' if kind == 'neural_lm' else ''}language model", "Name a file.")
    return verified(folder, config, name)
