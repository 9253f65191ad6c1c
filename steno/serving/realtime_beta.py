"""Sessions in the words of the Realtime API's beta, which older clients use.

Source: OpenAI's API reference, "Realtime Beta", ``transcription_session.update`` and ``.updated``.
"""

from typing import Any

from steno.serving.problems import ApiError
from steno.serving.realtime_protocol import Session

_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_NAMES = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}


def translated(change: dict[str, Any]) -> dict[str, Any]:
    """A change of a session in today's words. A field that the beta lacks stays as it is, for the check to refuse.

    Raises:
        ApiError: a format that there is not.
    """
    found = {_NAMES[name]: value for name, value in change.items() if name in _NAMES}
    if "format" in found:
        found["format"] = {"type": _format(found["format"])}
    rest = {name: value for name, value in change.items() if name not in _NAMES}
    return {**rest, "type": "transcription", "audio": {"input": found}}


def told(session: Session) -> dict[str, Any]:
    """A session as the beta's clients are told it."""
    about = session.audio.input.model_dump()
    formats = {now: then for then, now in _FORMATS.items()}
    about["format"] = formats[about["format"]["type"]]
    return {then: about[now] for then, now in _NAMES.items()} | {"include": session.include}


def _format(asked: Any) -> str:
    found = _FORMATS.get(asked) if isinstance(asked, str) else None
    if found is None:
        raise ApiError(
            400, f"`input_audio_format` has to be one of {', '.join(_FORMATS)}.", "invalid_value", "input_audio_format"
        )
    return found
