"""The files of a page, each at a path of its own, so that there is nothing else to ask for."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

PAGE = Path(__file__).parent / "page"
"""The files of the live page."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


def files(folder: Path) -> dict[str, Path]:
    """The files of a folder that a page may consist of, by their paths."""
    return {f"/{file.name}": file for file in sorted(folder.iterdir()) if file.suffix in _TYPES}


def sender(file: Path) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that sends a file."""

    async def send(_: Request) -> Response:
        return FileResponse(file, media_type=_TYPES[file.suffix], headers={"cache-control": "no-cache"})

    return send
