"""The messages of OpenAI's Realtime API, as far as they transcribe, checked.

Source: OpenAI's API reference, "Realtime", client and server events of transcription sessions.
"""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from steno.config import Strict
from steno.runtime.streaming import EndpointConfig
from steno.serving.form import check_language, check_prompt, unknown_model
from steno.serving.live_protocol import Encoding, explained
from steno.serving.problems import ApiError


class Pcm(Strict):
    """16-bit little-endian mono samples; OpenAI's own server knows 24,000 Hz only."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: int = Field(24_000, ge=8_000, le=96_000)


class G711(Strict):
    """A telephone's samples, 8000 Hz, in mu-law or A-law."""

    type: Literal["audio/pcmu", "audio/pcma"]


class ServerVad(Strict):
    """The server ends utterances, after so many ms of silence.

    What else the field may hold for OpenAI's server would change nothing here: it is taken, and missing in the session
    that is told back.
    """

    type: Literal["server_vad"] = "server_vad"
    silence_duration_ms: int = Field(round(1000 * EndpointConfig().pause), ge=100, le=10_000)
    threshold: float | None = Field(None, exclude=True)
    prefix_padding_ms: int | None = Field(None, exclude=True)
    create_response: bool | None = Field(None, exclude=True)
    interrupt_response: bool | None = Field(None, exclude=True)
    idle_timeout_ms: None = Field(None, exclude=True)


class Transcription(Strict):
    """Which model is asked, and in which language."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class AudioInput(Strict):
    """What the client sends."""

    format: Annotated[Pcm | G711, Field(discriminator="type")] = Pcm()
    transcription: Transcription = Transcription()
    turn_detection: ServerVad | None = ServerVad()
    noise_reduction: None = None


class Audio(Strict):
    """The audio of a session, which goes one way."""

    input: AudioInput = AudioInput()


class Session(Strict):
    """A transcription session, as it is told to the client."""

    type: Literal["transcription"] = "transcription"
    audio: Audio = Audio()
    include: list[str] | None = Field(None, max_length=0)


class Update(Strict):
    """Change the session; what is not named stays."""

    type: Literal["session.update"]
    event_id: str | None = None
    session: dict[str, Any]


class BetaUpdate(Strict):
    """Change the session, in the words of the API's beta."""

    type: Literal["transcription_session.update"]
    event_id: str | None = None
    session: dict[str, Any]


class Append(Strict):
    """Audio, in base64."""

    type: Literal["input_audio_buffer.append"]
    event_id: str | None = None
    audio: str

    def data(self) -> bytes:
        """The audio's bytes.

        Raises:
            ApiError: it is not base64.
        """
        try:
            return base64.b64decode(self.audio, validate=True)
        except (binascii.Error, ValueError):
            raise ApiError(400, "`audio` is not base64.", "invalid_value", "audio") from None


class Commit(Strict):
    """The utterance ends here."""

    type: Literal["input_audio_buffer.commit"]
    event_id: str | None = None


class Clear(Strict):
    """Forget the audio since the last utterance."""

    type: Literal["input_audio_buffer.clear"]
    event_id: str | None = None


ClientEvent = Update | BetaUpdate | Append | Commit | Clear
_CLIENT_EVENT: TypeAdapter[ClientEvent] = TypeAdapter(Annotated[ClientEvent, Field(discriminator="type")])


def read_event(text: str | None) -> ClientEvent:
    """A client's message.

    Raises:
        ApiError: it is not JSON, or none of the events that are understood.
    """
    if text is None:
        raise ApiError(400, "Messages are JSON text; audio goes into input_audio_buffer.append.", "invalid_message")
    try:
        return _CLIENT_EVENT.validate_json(text)
    except ValidationError as error:
        raise explained(error, "event", "invalid_message", skip=1) from None  # the type of the event comes first


def event_id(text: str | None) -> str | None:
    """What the client calls its event, so that an error can name it; None where it has no name, or is no event."""
    try:
        found = orjson.loads(text or "").get("event_id")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def check_query(intent: str | None, model: str | None, names: Collection[str]) -> None:
    """What a connection's address may ask for; a model may be named there as well as in the session.

    Raises:
        ApiError: something other than transcription, or a model that is not served.
    """
    if intent not in (None, "transcription"):
        raise ApiError(400, "Only the intent `transcription` is offered here.", "unsupported_parameter", "intent")
    if model is not None and model not in names:
        raise unknown_model(model, names)


def updated(session: Session, change: dict[str, Any], names: Collection[str], language: str) -> Session:
    """The session with a change: fields of ``audio.input`` that are not named stay.

    Args:
        session: as it is.
        change: what the client sent.
        names: the model names that are served.
        language: what the model speaks, ISO 639-1.

    Raises:
        ApiError: a field is unknown, or asks for what the server cannot do.
    """
    if change.get("type") != "transcription":
        raise ApiError(
            400, "Only sessions of type `transcription` are offered here.", "unsupported_parameter", "session.type"
        )
    audio = change.get("audio") or {}
    asked = audio.get("input") or {} if isinstance(audio, dict) else None
    if isinstance(asked, dict):
        change = {**change, "audio": {**audio, "input": {**session.audio.input.model_dump(), **asked}}}
    try:
        found = Session.model_validate(change)
    except ValidationError as error:
        raise explained(error, "session", "invalid_value") from None
    asked_for = found.audio.input.transcription
    if asked_for.model is not None and asked_for.model not in names:
        raise unknown_model(asked_for.model, names)
    check_language(asked_for.language, language)
    check_prompt(asked_for.prompt)
    return found


@dataclass(frozen=True, slots=True)
class Input:
    """How audio is heard: its encoding and rate in Hz, and the pause in seconds that ends an utterance, if any does."""

    encoding: Encoding
    sample_rate: int
    pause: float | None

    @classmethod
    def of(cls, session: Session) -> "Input":
        """That of a session."""
        asked, vad = session.audio.input.format, session.audio.input.turn_detection
        encoding: Encoding = "pcm16" if isinstance(asked, Pcm) else ("pcmu" if asked.type == "audio/pcmu" else "pcma")
        rate = asked.rate if isinstance(asked, Pcm) else 8_000
        return cls(encoding, rate, None if vad is None else vad.silence_duration_ms / 1000)
