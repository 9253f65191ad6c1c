"""What conversations over a WebSocket share: sending in time, running until one side is done, and the ways to end."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import orjson
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from steno.serving.keys import bearer
from steno.serving.problems import ApiError
from steno.serving.service import Service

SEND_SECONDS = 10.0
"""Time in which a client has to make room for an event."""

_CLOSE = {400: 1007, 401: 1008, 404: 1008, 408: 1008, 413: 1009, 429: 1013, 503: 1012}
"""Close codes (RFC 6455 and its registry) by HTTP status."""


class Left(Exception):
    """The client has gone, or cannot be told anything any more."""


async def first_of(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all until one is over; it raises what that one does."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def receive(
    websocket: WebSocket, seconds: float | None, late: str = "No audio came for too long.", code: str = "idle"
) -> dict[str, Any]:
    """The client's next message.

    Raises:
        ApiError: none came within so many seconds, which is ``late``.
        Left: the client has gone.
    """
    try:
        async with asyncio.timeout(seconds):
            message = await websocket.receive()
    except TimeoutError:
        raise ApiError(408, late, code) from None
    if message["type"] == "websocket.disconnect":
        raise Left
    return dict(message)


async def send(websocket: WebSocket, said: dict[str, Any]) -> None:
    """Tell the client.

    Raises:
        Left: it does not take it in time, or has gone.
    """
    await _in_time(lambda: websocket.send_text(orjson.dumps(said).decode()))


async def close(websocket: WebSocket, code: int, reason: str = "") -> None:
    """End the connection.

    Raises:
        Left: as :func:`send`.
    """
    await _in_time(lambda: websocket.close(code, reason))


async def _in_time(do: Callable[[], Any]) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await do()
    except (TimeoutError, WebSocketDisconnect, RuntimeError):  # RuntimeError: the other task has closed it
        raise Left from None


async def refuse(websocket: WebSocket, error: ApiError, said: dict[str, Any]) -> None:
    """Say what is wrong, as ``said``, then close."""
    websocket.state.notes["refused"] = error.code
    try:
        await send(websocket, said)
        await close(websocket, _CLOSE.get(error.status, 1011), error.code or "")
    except Left:
        abort(websocket)


def key_of(websocket: WebSocket, prefix: str) -> str | None:
    """The client's API key: in a subprotocol that begins so, for browsers, or in the header; None without one."""
    for protocol in websocket.scope["subprotocols"]:
        if protocol.startswith(prefix):
            return str(protocol.removeprefix(prefix))
    return bearer(websocket.headers.get("authorization"))


async def stop_in_time(service: Service, end: Callable[[], object]) -> NoReturn:
    """When the server stops, the client may go on for the drain time; then ``end`` has its last words made."""
    await service.stopping.wait()
    await asyncio.sleep(service.config.drain_seconds * 0.8)
    end()
    await asyncio.sleep(math.inf)
    raise AssertionError


def abort(websocket: WebSocket) -> None:
    """Drop the connection of a client that does not read, rather than wait for it."""
    if drop := getattr(websocket.state, "abort", None):
        drop()
