"""What a line of a manifest must hold."""

from typing import Any

from steno.errors import ManifestError

MAKE_ONE = "Make one with: steno data prepare SOURCE --out manifest.jsonl"


def checked_row(row: Any, where: str) -> dict[str, Any]:
    """The line, if it is one of a manifest; ``where`` names it in errors.

    Raises:
        ManifestError: it lacks its recording or its duration, or a value is of another type.
    """
    if not isinstance(row, dict) or not isinstance(row.get("audio_filepath"), str):
        raise ManifestError(f"{where}: no `audio_filepath`", MAKE_ONE)
    duration = row.get("duration")
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 <= duration < 1e6:
        raise ManifestError(f"{where}: `duration` is {duration!r}, not seconds", MAKE_ONE)
    if not isinstance(row.get("text"), str | None):
        raise ManifestError(f"{where}: `text` is {row['text']!r}, not a string")
    offset, channel = row.get("offset"), row.get("channel")
    if isinstance(offset, bool) or not (offset is None or (isinstance(offset, int | float) and 0 <= offset < 1e6)):
        raise ManifestError(
            f"{where}: `offset` is {offset!r}, not seconds", "It says where in its recording a part begins."
        )
    if isinstance(channel, bool) or not (channel is None or (isinstance(channel, int) and 0 <= channel < 10_000)):
        raise ManifestError(f"{where}: `channel` is {channel!r}, not the number of one", "They count from 0.")
    return row
