"""The messages of ``/v1/stream``, checked."""

from typing import Literal

from pydantic import Field, ValidationError

from steno.config import Strict
from steno.serving.problems import ApiError

Encoding = Literal["pcm16", "opus"]


class StreamConfig(Strict):
    """The first message of a client.

    ``encoding`` is ``pcm16`` (16-bit little-endian mono samples at ``sample_rate`` Hz) or ``opus`` (one raw Opus
    packet a message, mono or stereo). ``endpointing`` lets the server end an utterance at a pause; without it there
    is one final, at the end, and no more audio than a file may have. ``key`` is the API key of clients that cannot
    send a header.
    """

    type: Literal["config"]
    encoding: Encoding = "pcm16"
    sample_rate: int = Field(16_000, ge=8_000, le=96_000)
    partials: bool = True
    endpointing: bool = True
    key: str | None = Field(None, max_length=512)

    @property
    def bytes_a_second(self) -> float:
        """About how many bytes a second of audio has."""
        return 2.0 * self.sample_rate if self.encoding == "pcm16" else 4_000.0


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
        raise _explained(error, "configuration", "invalid_config") from None


def read_command(text: str) -> Finish:
    """A text message after the first.

    Raises:
        ApiError: it is not a command.
    """
    try:
        return Finish.model_validate_json(text)
    except ValidationError as error:
        raise _explained(error, "command", "invalid_message") from None


def _explained(error: ValidationError, what: str, code: str) -> ApiError:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return ApiError(400, f"Not a valid {what}: {where + ': ' if where else ''}{first['msg']}.", code, where or None)
