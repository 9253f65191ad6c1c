"""The ASGI application: routes, what guards them, and the page."""

import socket
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from steno import __version__
from steno.serving import documents, live, metrics, realtime, transcriptions
from steno.serving.doorman import Bounded, Doorman
from steno.serving.keys import bearer
from steno.serving.pages import PAGE, files, sender
from steno.serving.problems import ApiError, tell, tell_http
from steno.serving.responses import JsonResponse
from steno.serving.service import Service

_LOCAL = ("localhost", "127.0.0.1", "::1")

router = APIRouter()


@router.get("/healthz", **documents.HEALTH)
async def healthz() -> Response:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@router.get("/readyz", **documents.READY)
async def readyz(request: Request) -> Response:
    """New requests are taken."""
    service: Service = request.app.state.service
    if not service.ready:
        reason = "stopping" if service.stopping.is_set() else "loading"
        raise ApiError(503, f"Not ready: {reason}.", reason, retry_after=2)
    return JsonResponse({"status": "ready", "version": service.engine.version})


@router.get("/metrics", **documents.METRICS)
async def show_metrics(request: Request) -> Response:
    """Counters, for those who have a key."""
    service: Service = request.app.state.service
    service.check_key(bearer(request.headers.get("authorization")))
    return Response(service.metrics.text(), headers={"content-type": metrics.CONTENT_TYPE})


def create_app(service: Service, host: str = "127.0.0.1") -> ASGIApp:
    """The application over a service.

    Args:
        service: the model, its limits and its keys.
        host: the address that is listened on; its name may stand in the Host header.
    """
    app = FastAPI(
        title="Steno",
        version=__version__,
        description="Speech recognition. Live audio goes to the WebSocket `/v1/stream`; see the documentation.",
        docs_url=None,
        redoc_url=None,
        exception_handlers={ApiError: tell, HTTPException: tell_http},
    )
    app.state.service = service
    app.include_router(router)
    app.include_router(transcriptions.router)
    app.include_router(live.router)
    app.include_router(realtime.router)
    page = _add_page(app)
    _mend_document(app)
    config = service.config
    guarded: ASGIApp = Bounded(app, config.max_bytes + 64 * 1024, config.timeout)
    if config.cors:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=config.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # OpenAI's own client sends a dozen of its own
            expose_headers=["x-request-id", "retry-after", "x-steno-model-version"],
        )
    hosts = (*_LOCAL, *(config.allowed_hosts or (host, socket.gethostname())))
    api = ("/v1/audio/transcriptions", "/v1/models", "/v1/stream", "/v1/realtime")
    known = (*api, "/healthz", "/readyz", "/metrics", *page)
    return Doorman(guarded, hosts, config.cors, service.metrics, known)


def _add_page(app: FastAPI) -> Iterable[str]:
    paths = files(PAGE)
    paths["/"] = paths.pop("/index.html")
    paths["/docs"] = paths.pop("/docs.html")
    for path, file in paths.items():
        app.add_api_route(path, sender(file), methods=["GET"], include_in_schema=False, response_model=None)
    return paths


def _mend_document(app: FastAPI) -> None:
    """Make the OpenAPI document this server's own: its way to show a key, and no errors in FastAPI's form."""
    written = app.openapi

    def openapi() -> dict[str, Any]:
        document = written()
        document["components"] = {"securitySchemes": documents.SECURITY_SCHEMES}
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)  # FastAPI's own; this server never gives it
        return document

    app.openapi = openapi  # type: ignore[method-assign]
