"""One file over HTTP: several mirrors, resumed where it was cut, verified by its checksum.

What has come so far lies in ``NAME.part``; ``NAME.part.json`` remembers which file that is (size, and the
mirror's ETag or date), so that bytes of two versions are never joined (RFC 9110: Range, If-Range, 416).
"""

import errno
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Protocol, TypeVar

from steno import __version__
from steno.errors import StenoError

CHUNK = 1 << 20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 30.0
_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO})

Result = TypeVar("Result")


class DownloadError(StenoError):
    """A download that could not be finished, or is not what it should be."""


class Watcher(Protocol):
    """Who is told how far things are."""

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` bytes of a stage: ``fetching``, ``checking`` or ``unpacking``."""

    def note(self, message: str) -> None:
        """Something worth a line, such as a mirror that does not answer."""


class _Refused(Exception):
    """This mirror will not give the file, however often it is asked."""


class _Interrupted(Exception):
    """This mirror failed now and may work in a moment."""


@dataclass(frozen=True)
class Retry:
    """How long to go on.

    Args:
        rounds: times that every mirror is asked in a row without a byte gained.
        wait: seconds before the second round; doubled each round, at most 30.
        timeout: seconds without a byte after which a connection counts as dead.
        sleep: replaces the clock in tests.
    """

    rounds: int = 5
    wait: float = 1.0
    timeout: float = 30.0
    sleep: Callable[[float], None] = time.sleep


def remote_size(urls: Sequence[str], watcher: Watcher, retry: Retry) -> int | None:
    """Bytes of the file, from the first mirror that answers; None where it does not say.

    Raises:
        DownloadError: no mirror has the file, or none answers.
    """

    def ask(url: str) -> int | None:
        try:
            with _open(url, "HEAD", {}, retry.timeout) as response:
                return _length(response)
        except urllib.error.HTTPError as error:
            if error.code not in (405, 501):
                raise
        with _open(url, "GET", {}, retry.timeout) as response:
            return _length(response)

    return _over_mirrors(urls, ask, lambda: 0, watcher, retry)


def fetch(urls: Sequence[str], target: Path, md5: str, watcher: Watcher, retry: Retry) -> None:
    """Bring one file to ``target``, trying its addresses in turn and going on from what is already there.

    Args:
        urls: addresses (http or https) of the same file.
        target: where it goes; it is there only if it is whole and its sum is right.
        md5: its MD5 sum in hexadecimal digits.

    Raises:
        DownloadError: no mirror could give it, the sum is wrong (the file is removed), or the disk is full.
    """
    partial = _partial(target)
    if target.exists():
        if file_md5(target, watcher) == md5:
            return
        target.unlink()
    condemned: set[str] = set()
    sums: list[str] = []
    while len(condemned) < len(urls) and len(sums) <= len(urls):
        pieces = [partial.exists()]
        left = [url for url in urls if url not in condemned]

        def transfer(url: str, pieces: list[bool] = pieces) -> str:
            pieces.append(True)
            return _transfer(url, target, watcher, retry.timeout)

        try:
            source = _over_mirrors(left, transfer, lambda: _size(partial), watcher, retry)
        except OSError as error:
            raise disk_error(target.parent, error) from error
        found = file_md5(partial, watcher)
        _state(target).unlink(missing_ok=True)
        if found == md5:
            partial.replace(target)
            return
        partial.unlink()
        sums.append(f"{source} gives {found}")
        watcher.note(f"{source}: wrong checksum ({found}, not {md5}); the file was removed")
        # A file pieced together may be at fault itself: only one fetched in one go condemns the mirror.
        if sum(pieces) == 1:
            condemned.add(source)
    raise DownloadError(
        f"{target.name}: wrong checksum: {'; '.join(sums)}; expected MD5 {md5}",
        "The file was removed. Try again later or give another mirror with --mirror URL.",
    )


def file_md5(path: Path, watcher: Watcher) -> str:
    """MD5 sum of a file in hexadecimal digits."""
    digest, done, total = hashlib.md5(usedforsecurity=False), 0, _size(path)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            watcher.progress("checking", done, total)
    return digest.hexdigest()


def fetched_bytes(target: Path) -> int:
    """Bytes of the file, or of its beginning, that are already here."""
    return _size(target) or _size(_partial(target))


def disk_error(where: Path, error: OSError) -> DownloadError:
    """The error of a disk that is full, or a folder that must not be written to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DownloadError(f"{where}: no space left on the disk", "Free some space and run the command again.")
    return DownloadError(
        f"{error.filename or where}: cannot be written ({error.strerror or error})",
        "Give another folder with --to.",
    )


def _partial(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _state(target: Path) -> Path:
    return target.with_name(target.name + ".part.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _over_mirrors(
    urls: Sequence[str],
    attempt: Callable[[str], Result],
    gained: Callable[[], int],
    watcher: Watcher,
    retry: Retry,
) -> Result:
    """The first success. A mirror that moves on is kept, one that fails goes to the end, one that refuses out."""
    queue = deque(urls)
    reasons: dict[str, str] = {}
    best, idle = gained(), 0
    while queue and idle < retry.rounds * len(queue):
        url = queue[0]
        try:
            return attempt(url)
        except (_Refused, _Interrupted, http.client.HTTPException, OSError) as error:
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            reason = _reason(error)
            if _is_final(error):
                queue.popleft()
            elif gained() > best:
                best, idle = gained(), 0
            else:
                idle += 1
                queue.rotate(-1)
        if reasons.get(url) != reason:
            watcher.note(f"{url}: {reason}" + ("; trying again" if url in queue else "; left out"))
        reasons[url] = reason
        if queue and idle and idle % len(queue) == 0:
            retry.sleep(min(_LONGEST_WAIT, retry.wait * 2 ** (idle // len(queue) - 1)))
    raise DownloadError(
        "no mirror could give the file: " + "; ".join(f"{url}: {reason}" for url, reason in reasons.items()),
        "Check the connection and run the command again: it goes on where it stopped. "
        "Another mirror is given with --mirror URL.",
    )


def _is_final(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return error.code not in _TRANSIENT
    return isinstance(error, _Refused)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__


def _open(url: str, method: str, headers: Mapping[str, str], timeout: float) -> HTTPResponse:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise _Refused("not an http or https address")
    request = urllib.request.Request(
        url,
        method=method,
        headers={"User-Agent": f"steno/{__version__}", "Accept-Encoding": "identity", **headers},
    )
    response: HTTPResponse = urllib.request.urlopen(request, timeout=timeout)
    return response


def _length(response: HTTPResponse) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def _transfer(url: str, target: Path, watcher: Watcher, timeout: float) -> str:
    """Fetch what is missing of ``target``'s partial file from one mirror; its address when the file is whole."""
    partial, state_file = _partial(target), _state(target)
    state = _read_state(state_file) if partial.exists() else {}
    offset = _size(partial) if state else 0
    if state and offset == state.get("size"):
        return url
    try:
        response = _open(url, "GET", _range(offset, url, state), timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        # Nothing lies behind what we have, and it was not whole: it is another file's beginning.
        partial.unlink(missing_ok=True)
        raise _Interrupted("what was fetched before does not belong to this file; starting over") from error
    with response:
        start, total = _extent(response)
        if offset and (start != offset or total != state.get("size")):
            offset = 0
            if start:
                partial.unlink(missing_ok=True)
                raise _Interrupted("the file has changed; starting over")
        with partial.open("r+b" if offset else "wb") as out:
            out.seek(offset)
            _write_state(state_file, url, total, response)
            done = offset
            watcher.progress("fetching", done, total)
            while chunk := response.read(CHUNK):
                out.write(chunk)
                done += len(chunk)
                watcher.progress("fetching", done, total)
    if total is not None and done != total:
        raise _Interrupted(f"the connection was cut at {done} of {total} bytes")
    return url


def _range(offset: int, url: str, state: Mapping[str, object]) -> dict[str, str]:
    """Headers that ask for the rest. Another mirror has other validators, so there the size has to do."""
    if not offset:
        return {}
    validator = state.get("validator") if state.get("url") == url else None
    return {"Range": f"bytes={offset}-"} | ({"If-Range": validator} if isinstance(validator, str) else {})


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """First byte of the answer's body and bytes of the whole file."""
    if response.status != 206:
        return 0, _length(response)
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not match:
        raise _Interrupted("the mirror answers with a part, but does not say which")
    return int(match[1]), int(match[2]) if match[2] != "*" else None


def _read_state(path: Path) -> dict[str, object]:
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) and isinstance(state.get("size"), int) else {}


def _write_state(path: Path, url: str, total: int | None, response: HTTPResponse) -> None:
    tag = response.headers.get("ETag", "")
    # A weak ETag does not promise the same bytes, so it must not stand in If-Range.
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    path.write_text(json.dumps({"url": url, "size": total, "validator": validator}), encoding="utf-8")
