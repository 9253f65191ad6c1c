"""Frames between the server and its workers: a JSON head and a binary body over a socket.

No pickles: a worker decodes what strangers send, and what it answers can be nothing but JSON.
"""

import asyncio
import select
import socket
import struct
from typing import Any

import orjson

Frame = tuple[dict[str, Any], bytes]
"""Head and body."""

_SIZES = struct.Struct("<II")


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """A frame as it goes over the socket."""
    text = orjson.dumps(head)
    return b"".join((_SIZES.pack(len(text), len(body)), text, body))


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame of the other side; None after its last."""
    try:
        head_size, body_size = _SIZES.unpack(await reader.readexactly(_SIZES.size))
        head = orjson.loads(await reader.readexactly(head_size))
        body = await reader.readexactly(body_size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return head, body


class Channel:
    """The worker's end, for code without an event loop."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self.closed = False

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame; waits while the server does not read."""
        try:
            self._connection.sendall(pack(head, body))
        except OSError:
            self.closed = True

    def receive(self, timeout: float | None = None) -> list[Frame]:
        """Every frame that has arrived; waits up to ``timeout`` seconds for the first, None for ever."""
        frames = self._cut()
        while not self.closed:
            wait = 0.0 if frames else timeout
            if not select.select([self._connection], [], [], wait)[0]:
                break
            try:
                data = self._connection.recv(1 << 20)
            except OSError:
                data = b""
            if not data:
                self.closed = True
                break
            self._buffer += data
            frames += self._cut()
        return frames

    def _cut(self) -> list[Frame]:
        frames: list[Frame] = []
        at = 0
        while len(self._buffer) - at >= _SIZES.size:
            head_size, body_size = _SIZES.unpack_from(self._buffer, at)
            end = at + _SIZES.size + head_size + body_size
            if len(self._buffer) < end:
                break
            middle = at + _SIZES.size + head_size
            frames.append((orjson.loads(self._buffer[at + _SIZES.size : middle]), bytes(self._buffer[middle:end])))
            at = end
        del self._buffer[:at]
        return frames
