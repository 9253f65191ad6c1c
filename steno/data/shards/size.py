"""Sizes as people write them."""

import re

from steno.errors import StenoError

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_size(text: str) -> int:
    """Bytes of a size such as 512MB, 2GB or 64MiB.

    Raises:
        StenoError: it is not one, or less than a kilobyte.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    size = int(float(found[1]) * unit) if found and unit else 0
    if size < 1000:
        raise StenoError(f"{text!r} is not a size of a shard", "Examples: 512MB, 2GB, 64MiB.")
    return size
