"""The server of the page on which drafts are put right: pieces, their sound, and the decisions about them."""

from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from steno.errors import TextError
from steno.labelling.session import Item, Session, State
from steno.labelling.web import create, done, sound, told
from steno.runtime.formats import to_dict
from steno.serving.problems import ApiError
from steno.serving.responses import JsonResponse
from steno.storage import shown

_MOST_BYTES = 256 * 1024


class Work(NamedTuple):
    """Pieces and decisions, and whose drafts they are; None where there are none."""

    session: Session
    model: str | None


def create_app(work: Work) -> ASGIApp:
    """The application over a session."""
    api = [
        Route("/api/session", _overview),
        Route("/api/items/{number:int}", _show),
        Route("/api/items/{number:int}", _decide, methods=["PUT"]),
        Route("/api/items/{number:int}", _reopen, methods=["DELETE"]),
        Route("/api/items/{number:int}/audio", _sound),
    ]
    own, shared = ("label.html", "label.css", "label.js", "ask.js"), ("style.css", "captions.js", "spectrogram.js")
    return create(own, shared, api, _MOST_BYTES, work)


class _Unspelled(ApiError):
    """A text that the alphabet cannot spell, and how it might be written."""

    def __init__(self, message: str, suggestion: str | None) -> None:
        super().__init__(422, message, "unknown_characters", "text")
        self.suggestion = suggestion

    @property
    def body(self) -> dict[str, Any]:
        """The error with the suggestion."""
        return {"error": {**super().body["error"], "suggestion": self.suggestion}}


def _work(request: Request) -> Work:
    work: Work = request.app.state.work
    return work


def _item(request: Request) -> Item:
    session, number = _work(request).session, request.path_params["number"]
    if number >= len(session):
        raise ApiError(404, f"There is no piece {number}.", "not_found")
    return session[number]


def _overview(request: Request) -> Response:
    """The pieces from ``?since=``, in few words, and the progress."""
    session, model = _work(request)
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
    return JsonResponse({"model": model, "items": items, "progress": _progress(session)})


def _progress(session: Session) -> dict[str, Any]:
    found = session.progress
    return {
        "pieces": found.pieces,
        "labelled": found.labelled,
        "unusable": found.unusable,
        "hours": round(found.hours, 4),
        "changed": round(found.changed.rate, 4) if found.changed.reference else None,
        "complete": session.complete,
        "problems": session.problems,
    }


def _show(request: Request) -> Response:
    """One piece: its draft with the words' times, and its text where it is labelled."""
    return JsonResponse(_described(_work(request).session, _item(request)))


def _described(session: Session, item: Item) -> dict[str, Any]:
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
    return sound(_item(request).utterance.audio)


async def _decide(request: Request) -> Response:
    """Label a piece, ``{"text": …, "speaker": …}``, or set it aside, ``{"unusable": true}``."""
    session, item, said = _work(request).session, _item(request), await told(request)
    text, speaker = said.get("text"), said.get("speaker")
    if said.get("unusable") is True:
        await done(session.set_aside, item)
    elif not isinstance(text, str) or not isinstance(speaker, str | None):
        raise ApiError(400, "text is a string, and speaker one or null.", "invalid_type", "text")
    else:
        await done(_label, session, item, text, speaker)
    return _decided(session, item)


def _label(session: Session, item: Item, text: str, speaker: str | None) -> None:
    try:
        session.label(item, text, speaker)
    except TextError as error:
        raise _Unspelled(f"{error.message}. {error.hint}", session.suggestion(text)) from None


async def _reopen(request: Request) -> Response:
    session, item = _work(request).session, _item(request)
    await done(session.reopen, item)
    return _decided(session, item)


def _decided(session: Session, item: Item) -> Response:
    return JsonResponse({"item": _described(session, item), "progress": _progress(session)})
