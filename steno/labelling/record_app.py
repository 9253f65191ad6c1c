"""The server of the page on which sentences are read aloud."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from steno.labelling.prompts import Prompt
from steno.labelling.takes import Take, Takes
from steno.labelling.web import create, done, sound
from steno.serving.problems import ApiError
from steno.serving.responses import JsonResponse

_MOST_BYTES = 16 * 1024 * 1024
"""More than 30 seconds at any rate that a sound card has."""


def create_app(takes: Takes) -> ASGIApp:
    """The application over a folder of recordings."""
    api = [
        Route("/api/session", _overview),
        Route("/api/prompts/{number:int}/take", _keep, methods=["PUT"]),
        Route("/api/prompts/{number:int}/take", _forget, methods=["DELETE"]),
        Route("/api/prompts/{number:int}/take", _sound),
    ]
    own, shared = ("record.html", "label.css", "record.js", "ask.js"), ("style.css", "recorder.js", "capture.js")
    return create(own, shared, api, _MOST_BYTES, takes)


def _takes(request: Request) -> Takes:
    takes: Takes = request.app.state.work
    return takes


def _prompt(request: Request) -> Prompt:
    takes, number = _takes(request), request.path_params["number"]
    if number >= len(takes.prompts):
        raise ApiError(404, f"There is no sentence {number}.", "not_found")
    return takes.prompts[number]


def _overview(request: Request) -> Response:
    """All sentences, and how long the recording of each is."""
    takes = _takes(request)
    rows = [(prompt, takes.row(prompt)) for prompt in takes.prompts]
    prompts = [
        {"shown": prompt.shown, "text": prompt.text, "seconds": row.duration if row else None} for prompt, row in rows
    ]
    return JsonResponse({"speaker": takes.speaker, "model": takes.model, "prompts": prompts})


async def _keep(request: Request) -> Response:
    """Keep a take, a WAV or any other recording; what is wrong with it is told."""
    take: Take = await done(_takes(request).keep, _prompt(request), await request.body())
    return JsonResponse({"seconds": take.row.duration, "warnings": take.warnings, "heard": _heard(take)})


def _heard(take: Take) -> list[dict[str, Any]] | None:
    if take.heard is None:
        return None
    return [{"kind": pair.kind, "word": pair.hypothesis, "instead_of": pair.reference} for pair in take.heard]


async def _forget(request: Request) -> Response:
    await done(_takes(request).forget, _prompt(request))
    return JsonResponse({})


def _sound(request: Request) -> Response:
    row = _takes(request).row(_prompt(request))
    if row is None:
        raise ApiError(404, "It is not recorded yet.", "not_found")
    return sound(row.audio)
