"""Errors that a user can act on.

Every mistake of a user ends in a :class:`StenoError`: the command line prints its message and hint and exits
with code 2, without a traceback. Anything else that escapes is a defect of Steno.
"""


class StenoError(Exception):
    """What was wrong and where, and what to do about it.

    Args:
        message: what was wrong, naming the file, the line or the utterance.
        hint: the remedy, a full sentence or a command; empty if there is none.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class AudioError(StenoError):
    """A recording that cannot be read or used."""


class ManifestError(StenoError):
    """A manifest or a corpus that cannot be read, with file and line."""


class TextError(StenoError):
    """A transcript that the alphabet cannot spell."""


class StorageError(StenoError):
    """An object store, or an object in it, that cannot be reached, read or written."""


class RecipeError(StenoError):
    """A recipe, or an override of it, that is not valid."""


class ModelError(StenoError):
    """A model folder or a model reference that cannot be used."""


class TrackingError(StenoError):
    """The tracking server or the registry refused, or is not there."""


class LanguageModelError(StenoError):
    """A language model, or the text for one, that cannot be used."""


class MissingExtraError(StenoError):
    """A command needs an optional part that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs {package}, which is not installed",
            f"In Steno's folder: pip install '.[{extra}]'",
        )


class DecodingError(StenoError):
    """Options of decoding that do not go together, or that the model cannot honour."""
