"""Where commands write what must not be there yet."""

from pathlib import Path


def refuse_existing(path: Path) -> None:
    """Refuse a place at which something is already, before any work is done for it.

    Raises:
        StenoError: there is a file or folder, even an empty one.
    """
    from steno.errors import StenoError

    if path.exists():
        raise StenoError(f"{path}: is there already", "Name another place, or remove it first.")
