"""The models that come with Steno, by their names."""

from pathlib import Path

DEFAULT = "small-en"
"""What is used where no model is named."""

_HOME = Path(__file__).resolve().parent.parent / "bundled"


def names() -> list[str]:
    """Names that may stand for a model."""
    return sorted(path.parent.name for path in _HOME.glob("*/config.yaml"))


def folder(name: str) -> Path | None:
    """The model folder of that name; None if none comes with Steno."""
    return _HOME / name if name in names() else None
