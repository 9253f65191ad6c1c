"""Sockets at which servers will listen."""

import socket

from steno.errors import StenoError

RECEIVE_BYTES = 256 * 1024
"""What the system buffers of a connection: little, as a client's pings wait behind the audio that it is ahead."""


def bound(host: str, port: int, remedy: str = "Choose another --host or --port.") -> socket.socket:
    """A socket at the address; port 0 takes a free one. It does not listen yet: until then clients are refused at once.

    Args:
        host: name or address.
        port: number.
        remedy: what may be done where it is taken.

    Raises:
        StenoError: the address is taken, or is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        try:
            found.bind(address)
        except OSError:
            found.close()
            raise
        return found
    except OSError as error:
        raise StenoError(f"{host}:{port}: cannot be listened on ({error})", remedy) from None


def address(bound: socket.socket) -> str:
    """Where clients find a socket, as a URL."""
    name, number = bound.getsockname()[:2]
    return f"http://{f'[{name}]' if ':' in name else name}:{number}"
