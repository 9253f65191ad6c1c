"""What one run of ``steno batch`` will do, in a form that a later one can compare with its own."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from steno.errors import StenoError

PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """The source, the model and the decoding, each as something that changes whenever they do."""

    source: str
    recordings: int
    parts: int
    model: str
    decoding: Mapping[str, Any]

    def dump(self) -> bytes:
        """As JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def check_same(plan: Plan, stored: bytes, place: str) -> None:
    """Refuse to go on with parts that another plan made.

    Raises:
        StenoError: naming what is not the same.
    """
    former = _read(stored)
    changed = [name for name in ("model", "decoding", "source") if former.get(name) != _read(plan.dump())[name]]
    if not changed and former == _read(plan.dump()):
        return
    words = {"model": "the model", "decoding": "the decoding options", "source": "the recordings"}
    told = " and ".join(words[name] for name in changed) or "the cut into parts"
    raise StenoError(
        f"{place}: these parts were made with other settings: {told} changed since",
        "Give the same command again to go on, name another file with --to, or remove the folder to start anew.",
    )


def _read(data: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return row if isinstance(row, dict) else {}
