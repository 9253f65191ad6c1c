"""Settings of the server."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from steno.config import Strict
from steno.decoding.options import DecodingOptions

MOST_WORKERS = 256


def _is_origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or text != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("not an origin, which is https://HOST or https://HOST:PORT with no slash after it")
    return text


Origin = Annotated[str, AfterValidator(_is_origin)]
"""Of a page, as browsers send it: scheme, host and port."""


class ServeConfig(Strict):
    """What ``steno serve`` is told. Sizes are bytes, times are seconds.

    ``max_queue`` counts the requests that are inside at one time: uploading, waiting, or being transcribed.
    ``max_seconds`` bounds the audio of one file, ``timeout`` a request from its first byte to its answer.
    ``decoding`` is what is to be done otherwise than the model folder says, for files and streams alike.
    ``names`` are the model names that clients may ask for, ``language`` what the model speaks (ISO 639-1).
    """

    names: tuple[str, ...] = Field(min_length=1)
    language: str = Field("en", pattern=r"^[a-z]{2,3}$")
    workers: int = Field(2, ge=1, le=MOST_WORKERS)
    max_queue: int = Field(64, ge=1)
    max_streams: int = Field(64, ge=0)
    max_seconds: float = Field(600, gt=0)
    max_bytes: int = Field(25 * 1024 * 1024, ge=1024)
    max_batch: int = Field(8, ge=1)
    timeout: float = Field(120, gt=0)
    idle_seconds: float = Field(30, gt=0)
    drain_seconds: float = Field(30, ge=0)
    cors: tuple[Origin, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    log_transcripts: bool = False
    decoding: DecodingOptions = DecodingOptions()
