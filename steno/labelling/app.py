"""The page's server: pieces, their sound, and the decisions about them, on this machine only."""

import io
from pathlib import Path
from typing import Any

import orjson
import soundfile
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from steno import audio
from steno.errors import StenoError, TextError
from steno.labelling.session import Item, Session, State
from steno.runtime.formats import to_dict
from steno.serving.doorman import Bounded, Doorman
from steno.serving.metrics import Metrics
from steno.serving.pages import PAGE, files, sender
from steno.serving.problems import ApiError, tell, tell_http
from steno.serving.responses import JsonResponse
from steno.storage import shown

_PAGE = Path(__file__).parent / "page"
_SHARED = ("style.css", "captions.js", "spectrogram.js")
"""Files of the live page that this one uses."""
_MOST_BYTES = 256 * 1024
_SECONDS = 30.0


def create_app(session: Session, model: str | None) -> ASGIApp:
    """The application over a session.

    Args:
        session: pieces and decisions.
        model: whose drafts they are; None where there are none.
    """
    page = _page()
    routes = [
        *(Route(path, sender(file)) for path, file in page.items()),
        Route("/api/session", _overview),
        Route("/api/items/{number:int}", _show),
        Route("/api/items/{number:int}", _decide, methods=["PUT"]),
        Route("/api/items/{number:int}", _reopen, methods=["DELETE"]),
        Route("/api/items/{number:int}/audio", _sound),
    ]
    app = Starlette(routes=routes, exception_handlers={ApiError: tell, HTTPException: tell_http})
    app.state.session, app.state.model = session, model
    return Doorman(Bounded(app, _MOST_BYTES, _SECONDS), ("localhost",), (), Metrics(), page)


def _page() -> dict[str, Path]:
    own = files(_PAGE)
    own["/"] = own.pop("/label.html")
    return own | {f"/{name}": PAGE / name for name in _SHARED}


def _session(request: Request) -> Session:
    session: Session = request.app.state.session
    return session


def _item(request: Request) -> Item:
    session, number = _session(request), request.path_params["number"]
    if number >= len(session):
        raise ApiError(404, f"There is no piece {number}.", "not_found")
    return session[number]


def _progress(session: Session) -> dict[str, Any]:
    found = session.progress
    return {
        "pieces": found.pieces,
        "labelled": found.labelled,
        "unusable": found.unusable,
        "hours": round(found.hours, 4),
        "draft_words": found.changed.reference,
        "changed": round(found.changed.rate, 4) if found.changed.reference else None,
        "complete": session.complete,
        "problems": session.problems,
    }


def _overview(request: Request) -> Response:
    """The pieces from ``?since=``, in few words, and the progress."""
    session = _session(request)
    try:
        since = int(request.query_params.get("since", 0))
    except ValueError:
        raise ApiError(400, "since is a number.", "invalid_value", "since") from None
    items = [
        {
            "id": item.utterance.id,
            "seconds": round(item.utterance.duration, 2),
            "state": session.state(item),
            "confidence": item.confidence,
        }
        for item in (session[number] for number in range(max(since, 0), len(session)))
    ]
    return JsonResponse(
        {
            "model": request.app.state.model,
            "to": str(session.to),
            "alphabet": session.alphabet,
            "items": items,
            "progress": _progress(session),
        }
    )


def _show(request: Request) -> Response:
    """One piece: its draft with the words' times, and its text where it is labelled."""
    return JsonResponse(_told(_session(request), _item(request)))


def _told(session: Session, item: Item) -> dict[str, Any]:
    row, state = session.row(item), session.state(item)
    return {
        "number": item.number,
        "id": item.utterance.id,
        "audio": shown(item.utterance.audio),
        "seconds": item.utterance.duration,
        "state": state,
        "text": row.text if state is State.LABELLED else None,
        "speaker": row.speaker,
        "draft": to_dict(item.draft) if item.draft is not None else None,
        "confidence": item.confidence,
        "problem": item.problem,
    }


def _sound(request: Request) -> Response:
    """The piece as WAV, 16 kHz."""
    item = _item(request)
    try:
        samples = audio.load(item.utterance.audio)
    except StenoError as error:
        raise ApiError(422, error.message, "unreadable_audio") from None
    file = io.BytesIO()
    soundfile.write(file, samples, audio.SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return Response(file.getvalue(), media_type="audio/wav", headers={"cache-control": "no-store"})


async def _decide(request: Request) -> Response:
    """Label a piece, ``{"text": …, "speaker": …}``, or set it aside, ``{"unusable": true}``."""
    session, item = _session(request), _item(request)
    try:
        told = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise ApiError(400, "The body is not JSON.", "invalid_json") from None
    if not isinstance(told, dict):
        raise ApiError(400, "The body is not an object.", "invalid_json")
    text, speaker = told.get("text"), told.get("speaker")
    if told.get("unusable") is True:
        await run_in_threadpool(_kept, session.set_aside, item)
    elif not isinstance(text, str) or not isinstance(speaker, str | None):
        raise ApiError(400, "text is a string, and speaker one or null.", "invalid_type", "text")
    else:
        await run_in_threadpool(_kept, _label, session, item, text, speaker)
    return JsonResponse({"item": _told(session, item), "progress": _progress(session)})


def _label(session: Session, item: Item, text: str, speaker: str | None) -> None:
    try:
        session.label(item, text, speaker)
    except TextError as error:
        suggested = session.suggestion(text)
        raise Unspelled(f"{error.message}. {error.hint}", suggested) from None


async def _reopen(request: Request) -> Response:
    session, item = _session(request), _item(request)
    await run_in_threadpool(_kept, session.reopen, item)
    return JsonResponse({"item": _told(session, item), "progress": _progress(session)})


def _kept(decide: Any, *arguments: Any) -> None:
    """Decide, and tell the page where that cannot be written."""
    try:
        decide(*arguments)
    except StenoError as error:
        raise ApiError(507, str(error), "not_written") from None


class Unspelled(ApiError):
    """A text that the alphabet cannot spell, and how it might be written."""

    def __init__(self, message: str, suggestion: str | None) -> None:
        super().__init__(422, message, "unknown_characters", "text")
        self.suggestion = suggestion

    @property
    def body(self) -> dict[str, Any]:
        """The error with the suggestion."""
        return {"error": {**super().body["error"], "suggestion": self.suggestion}}
