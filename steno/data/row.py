"""What a line of a manifest must hold."""

from typing import Any

from steno.errors import ManifestError

MAKE_ONE = "Make one with: steno data prepare SOURCE --out manifest.jsonl"


def checked_row(row: Any, where: str) -> dict[str, Any]:
    """The line, if it is one of a manifest; ``where`` names it in errors.

    Raises:
        ManifestError: it lacks its recording or its duration, a value is of another type, or it is a piece of a
            recording.
    """
    if not isinstance(row, dict) or not isinstance(row.get("audio_filepath"), str):
        raise ManifestError(f"{where}: no `audio_filepath`", MAKE_ONE)
    duration = row.get("duration")
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 <= duration < 1e6:
        raise ManifestError(f"{where}: `duration` is {duration!r}, not seconds", MAKE_ONE)
    if not isinstance(row.get("text"), str | None):
        raise ManifestError(f"{where}: `text` is {row['text']!r}, not a string")
    if row.get("offset"):
        raise ManifestError(
            f"{where}: `offset` is {row['offset']!r}: a piece of a recording",
            "Steno takes whole recordings: cut the piece out, as with ffmpeg -ss START -t SECONDS, and name its file.",
        )
    return row
