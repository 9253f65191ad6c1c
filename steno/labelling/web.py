"""What the pages share: their files, the guard before them, and how they are told what went wrong."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import soundfile
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from steno import audio
from steno.errors import AudioError, StenoError
from steno.serving.doorman import Bounded, Doorman
from steno.serving.metrics import Metrics
from steno.serving.pages import PAGE, sender
from steno.serving.problems import ApiError, tell, tell_http

_OWN = Path(__file__).parent / "page"
_SECONDS = 30.0


def create(own: Sequence[str], shared: Sequence[str], api: Sequence[BaseRoute], most_bytes: int, work: Any) -> ASGIApp:
    """An application of one page and its API, for this machine's browser only.

    Args:
        own: the page's files, its HTML first.
        shared: files of the live page that it uses.
        api: routes of its API.
        most_bytes: what a request may bring.
        work: what the routes find in ``request.app.state.work``.
    """
    paths = {f"/{name}": _OWN / name for name in own[1:]} | {f"/{name}": PAGE / name for name in shared}
    paths["/"] = _OWN / own[0]
    routes = [*(Route(path, sender(file)) for path, file in paths.items()), *api]
    app = Starlette(routes=routes, exception_handlers={ApiError: tell, HTTPException: tell_http})
    app.state.work = work
    return Doorman(Bounded(app, most_bytes, _SECONDS), ("localhost",), (), Metrics(), paths)


async def told(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings.

    Raises:
        ApiError: it brings something else.
    """
    try:
        found = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise ApiError(400, "The body is not JSON.", "invalid_json") from None
    if not isinstance(found, dict):
        raise ApiError(400, "The body is not an object.", "invalid_json")
    return found


async def done(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of work that writes files, in a thread of its own.

    Raises:
        ApiError: 422 for a recording that is not usable, 507 for what cannot be written.
    """
    try:
        return await run_in_threadpool(work, *arguments)
    except AudioError as error:
        raise ApiError(422, str(error), "unusable_audio") from None
    except StenoError as error:
        raise ApiError(507, str(error), "not_written") from None


def sound(path: Path) -> Response:
    """A recording as WAV, 16 kHz, for a player.

    Raises:
        ApiError: it cannot be read.
    """
    try:
        samples = audio.load(path)
    except AudioError as error:
        raise ApiError(422, error.message, "unusable_audio") from None
    file = io.BytesIO()
    soundfile.write(file, samples, audio.SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return Response(file.getvalue(), media_type="audio/wav", headers={"cache-control": "no-store"})
