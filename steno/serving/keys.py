"""API keys: read from a file or the environment, compared in constant time."""

import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path

from steno.errors import StenoError

VARIABLE = "STENO_API_KEYS"
SHORTEST = 16
"""Characters of the shortest key that is taken."""


class Keys:
    """The keys that open the server; with none, it is open to all."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [_digest(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def admit(self, key: str | None) -> bool:
        """Whether the key is one of them. Takes the same time for any key of the same length."""
        if not self._digests:
            return True
        given = _digest(key or "")
        found = False
        for digest in self._digests:
            found |= hmac.compare_digest(digest, given)
        return found and key is not None


def read_keys(file: Path | None) -> Keys:
    """Keys from a file, one a line, or from ``STENO_API_KEYS``, separated by spaces or commas.

    Raises:
        StenoError: the file cannot be read or holds no key, or a key is too short or holds spaces.
    """
    if file is not None and os.environ.get(VARIABLE, "").strip():
        raise StenoError(
            f"{file} and {VARIABLE} both have API keys",
            f"Only one of them counts: leave the option out, or unset {VARIABLE}.",
        )
    if file is None:
        text = os.environ.get(VARIABLE, "")
        where, lines = VARIABLE, text.replace(",", " ").split()
        if not lines:
            return Keys()
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StenoError(
                f"{file}: the API keys cannot be read ({error})", "Give a text file, one key a line."
            ) from None
        where, lines = str(file), [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
        lines = [line for line in lines if line]
    if not lines:
        raise StenoError(f"{where}: holds no API key", "Write one key a line, or leave the option out.")
    for number, key in enumerate(lines, start=1):
        if len(key) < SHORTEST or not (key.isascii() and key.isprintable()) or " " in key:
            raise StenoError(
                f"{where}: key {number} is not one: at least {SHORTEST} ASCII characters without spaces",
                "Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
            )
    return Keys(lines)


def bearer(header: str | None) -> str | None:
    """The key in an ``Authorization: Bearer KEY`` header."""
    scheme, _, key = (header or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
