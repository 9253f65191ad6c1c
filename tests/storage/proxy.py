"""A TCP proxy on loopback that cuts connections in the middle of an answer, or keeps answers to itself."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Passes everything on to a port of this machine, until it is told to cut.

    Args:
        port: where to.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._cuts, self._after = 0, 0
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts_made = 0
        self.silent = False

    def cut(self, times: int, after: int) -> None:
        """Close the connection, so many times, when it has brought so many bytes of answers."""
        with self._guard:
            self._cuts, self._after, self.cuts_made = times, after, 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 14):
                with self._guard:
                    cut = answers and self._cuts > 0 and passed + len(data) > self._after
                    if cut:
                        self._cuts -= 1
                        self.cuts_made += 1
                        data = data[: max(0, self._after - passed)]
                if not (answers and self.silent):
                    target.sendall(data)
                passed += len(data)
                if cut:
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
