"""What every request passes first: an id, the Host and Origin checks, bounds on its body, and the log line after it."""

import asyncio
import logging
import re
import secrets
from collections.abc import Collection
from ipaddress import ip_address
from time import monotonic
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steno.serving.logs import event, log
from steno.serving.metrics import Metrics
from steno.serving.problems import ApiError

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Doorman:
    """ASGI middleware around everything.

    Args:
        app: what it guards.
        hosts: host names that may stand in the Host header; addresses such as 10.0.0.1 always may, since a page
            that rebinds its name to this machine cannot send one.
        origins: other origins whose pages may call the API.
        metrics: where requests are counted.
        paths: known paths; requests to others are counted together.
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str], origins: Collection[str], metrics: Metrics, paths: Collection[str]
    ) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}
        self._origins = set(origins)
        self._metrics = metrics
        self._paths = set(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = monotonic()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        number = given if _ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        notes = scope.setdefault("state", {})["notes"] = {"id": number}
        status = 0

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
                status = message.get("status", 101)
                there = MutableHeaders(raw=message.setdefault("headers", []))
                there["x-request-id"] = number
                for name, value in _SECURITY.items():
                    there.setdefault(name, value)
            await send(message)

        try:
            try:
                self._check(scope, headers)
                # The server that this runs in leaves the body of an answer to HEAD out.
                asked = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
                await self._app(asked, receive, tell)
            except ApiError as error:
                await error.response()(scope, receive, tell)
        except Exception:
            log.exception("defect", extra={"fields": notes})
            if status:
                raise
            failed = ApiError(500, f"The server failed; its log has more under {number}.", "internal_error")
            await failed.response()(scope, receive, tell)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            method = scope.get("method", "WEBSOCKET")
            method = method if method in ("GET", "POST", "HEAD", "OPTIONS", "WEBSOCKET") else "other"
            seconds = monotonic() - started
            if method != "WEBSOCKET" or status != 101:
                self._metrics.requests.labels(path, method, str(status)).observe(seconds)
            quiet = path in ("/healthz", "/readyz", "/metrics")
            event(
                "request",
                logging.DEBUG if quiet else logging.INFO,
                method=method,
                path=scope["path"],
                status=status or None,
                seconds=round(seconds, 4),
                client=scope["client"][0] if scope.get("client") else None,
                **notes,
            )

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._known(host):
            self._metrics.refusals.labels("unknown_host").inc()
            raise ApiError(
                421 if host else 400, "The Host header names another host; see --allowed-hosts.", "unknown_host"
            )
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and _host_of(origin) != host.lower():
            self._metrics.refusals.labels("foreign_origin").inc()
            raise ApiError(403, "Pages of other origins may not call this server; see --cors.", "foreign_origin")

    def _known(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._hosts or "*" in self._hosts:
            return True
        try:
            ip_address(name)
        except ValueError:
            return any(known.startswith("*.") and name.endswith(known[1:]) for known in self._hosts)
        return True


def _host_of(origin: str) -> str | None:
    """Host and port of an origin; None where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


LINGER_BYTES = 128 * 1024 * 1024
"""What is read and thrown away of a body that is too large, so that its sender reads the answer."""


class Bounded:
    """ASGI middleware that ends a request whose body is too large or too slow.

    Args:
        app: what it guards.
        most: bytes of a body.
        seconds: time that the whole body may take.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = monotonic() + self._seconds
        size = 0
        complete = False

        async def bounded() -> Message:
            nonlocal size, complete
            if complete:
                return await receive()
            message = await within(receive, deadline)
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if size > self._most:
                while not complete and size < LINGER_BYTES:
                    message = await within(receive, min(deadline, monotonic() + 2))
                    size += len(message.get("body", b""))
                    complete = not message.get("more_body", False)
                raise ApiError(
                    413, f"The request is larger than the {self._most} bytes that are taken.", "request_too_large"
                )
            return message

        await self._app(scope, bounded, send)


async def within(receive: Receive, deadline: float) -> Message:
    """The next message of a request.

    Raises:
        ApiError: 408, it did not come in time.
    """
    try:
        async with asyncio.timeout(deadline - monotonic()):
            return await receive()
    except TimeoutError:
        raise ApiError(408, "The request's body did not come in time.", "request_timeout") from None
