"""The messages of ``/v1/stream``, checked."""

from typing import Literal

from pydantic import Field, ValidationError, model_validator

from steno.config import Strict
from steno.serving.problems import ApiError

Encoding = Literal["pcm16", "opus", "pcmu", "pcma"]

_G711_RATE = 8_000


class StreamConfig(Strict):
    """The first message of a client.

    ``encoding`` is ``pcm16`` (16-bit little-endian mono samples at ``sample_rate`` Hz), ``opus`` (one raw Opus
    packet a message, mono or stereo), or a telephone's ``pcmu`` or ``pcma`` (G.711 in mu-law or A-law, 8000 Hz, mono).
    ``endpointing`` lets the server end an utterance at a pause, of so many seconds if ``pause`` says; without it
    there is one final, at the end, and no more audio than a file may have. ``key`` is the API key of clients that
    cannot send a header.
    """

    type: Literal["config"]
    encoding: Encoding = "pcm16"
    sample_rate: int = Field(16_000, ge=8_000, le=96_000)
    partials: bool = True
    endpointing: bool = True
    pause: float | None = Field(None, ge=0.1, le=10)
    key: str | None = Field(None, max_length=512)

    @property
    def bytes_a_second(self) -> float:
        """About how many bytes a second of audio has."""
        return bytes_a_second(self.encoding, self.sample_rate)

    @model_validator(mode="after")
    def _goes_together(self) -> "StreamConfig":
        if self.pause is not None and not self.endpointing:
            raise ValueError("pause does not go with endpointing false")
        return self


def bytes_a_second(encoding: Encoding, sample_rate: int) -> float:
    """About how many bytes a second of audio has; ``sample_rate``, in Hz, is that of ``pcm16``."""
    if encoding == "pcm16":
        return 2.0 * sample_rate
    return 4_000.0 if encoding == "opus" else _G711_RATE


class Finish(Strict):
    """No more audio."""

    type: Literal["finish"]


def read_config(text: str | None) -> StreamConfig:
    """The first message.

    Raises:
        ApiError: it is not one.
    """
    if text is None:
        raise ApiError(400, "The first message has to be a configuration, as JSON text.", "invalid_config")
    try:
        return StreamConfig.model_validate_json(text)
    except ValidationError as error:
        raise explained(error, "configuration", "invalid_config") from None


def read_command(text: str) -> Finish:
    """A text message after the first.

    Raises:
        ApiError: it is not a command.
    """
    try:
        return Finish.model_validate_json(text)
    except ValidationError as error:
        raise explained(error, "command", "invalid_message") from None


def explained(error: ValidationError, what: str, code: str, skip: int = 0) -> ApiError:
    """The first thing that is wrong with a message, as a refusal; ``skip`` parts of its place are not the message's."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"][skip:])
    return ApiError(400, f"Not a valid {what}: {where + ': ' if where else ''}{first['msg']}.", code, where or None)
