"""Make an exported model the one that comes with Steno.

    python scripts/bundle.py EXPORT small-en --card CARD.md

EXPORT is what `steno export --format onnx-int8` wrote. The model gets its name, the card and the licence, and must stay
below the size that may travel with the package. How small-en was made is in its card.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from steno.cli.app import guarded
from steno.errors import StenoError
from steno.export.folder import copy_runnable
from steno.runtime.folder import CARD, read_config, write_config

HOME = Path(__file__).resolve().parent.parent / "steno" / "bundled"
MOST_BYTES = 20_000_000
_PATHS = ("manifest", "data", "lexicon", "file", "texts", "dev")


def _without_folders(told: Any, key: str = "") -> Any:
    """A provenance whose files are named without the folders of the machine that it was made on."""
    if isinstance(told, dict):
        return {inner: _without_folders(value, inner) for inner, value in told.items()}
    if isinstance(told, list):
        return [_without_folders(value, key) for value in told]
    if key == "started_from":
        return "the model of the step before"
    if key == "model":
        return "a step of its training"
    return Path(told).name if key in _PATHS and told else told


def main(
    export: Annotated[Path, typer.Argument(help="A model folder that was exported.")],
    name: Annotated[str, typer.Argument(help="The name under which Steno knows it.")],
    card: Annotated[Path, typer.Option(help="Its card, in Markdown.")],
) -> None:
    """Write steno/bundled/NAME anew."""
    config = read_config(export)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, name)
        folder.mkdir()
        copy_runnable(export, config, folder)
        shutil.copyfile(card, folder / CARD)
        told = _without_folders(config.provenance)
        write_config(folder, config.model_copy(update={"name": name, "provenance": told}))
        size = sum(path.stat().st_size for path in folder.iterdir())
        if size > MOST_BYTES:
            raise StenoError(f"{export}: {size / 1e6:.2f} MB are more than {MOST_BYTES / 1e6:g} MB")
        shutil.rmtree(HOME / name, ignore_errors=True)
        shutil.copytree(folder, HOME / name)
    print(f"{HOME / name}: {size / 1e6:.2f} MB, {', '.join(sorted(p.name for p in (HOME / name).iterdir()))}")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
