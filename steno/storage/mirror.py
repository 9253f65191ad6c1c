"""A folder on this machine and its copy in a store: written here, kept there, and taken up again anywhere.

An object appears in a store whole or not at all, but a folder of them does not. So :meth:`Mirror.push` takes a
picture of the folder first, in which every file is of the same moment, and sends its files in the order in which
they were written: what is in the store never refers to what is not there yet.
"""

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from steno.errors import StorageError
from steno.storage import objects
from steno.storage.cache import cache_home, local
from steno.storage.folder import child, fetch_into
from steno.storage.location import parse

POLL_SECONDS = 2.0
"""Time between two looks at whether there is something to send."""

_NOTE = "in-store.json"


@dataclass(frozen=True, slots=True)
class _Sent:
    """A file of the folder as it was when it was sent or fetched, and the object's tag since then."""

    size: int
    modified: int
    tag: str


class Mirror:
    """The folder ``remote`` in a store, worked on in ``folder`` on this machine.

    Args:
        remote: a place in a store.
    """

    def __init__(self, remote: Path) -> None:
        self.place = parse(remote)
        key = hashlib.sha256(f"{objects.identity(self.place)}\n{self.place.url}".encode()).hexdigest()[:16]
        self._home = cache_home() / "work" / key
        self.folder = self._home / (Path(self.place.key).name or self.place.root)

    def names(self) -> set[str]:
        """The files that the folder has in the store.

        Raises:
            StorageError: the store does not answer.
        """
        return set(objects.below(self.place))

    def read(self, name: str) -> bytes:
        """One file of the folder as the store has it.

        Raises:
            StorageError: there is no such file, or the store does not answer.
        """
        return local(child(self.place, name).url, fresh=True).read_bytes()

    def pull(self) -> None:
        """Make the folder what the store has; where nobody else has written since our last push, it stays as it is.

        Raises:
            StorageError: the store does not answer.
        """
        there, sent = objects.below(self.place), self._sent()
        known = {name: row.tag for name, row in sent.items() if (self.folder / name).is_file()}
        if there and {name: thing.tag for name, thing in there.items()} == known:
            return
        self._begin()
        fetch_into(self.place, there, self.folder)
        self._remember({name: _sent(self.folder / name, thing.tag) for name, thing in there.items()})

    def clear(self) -> None:
        """Delete the folder, here and in the store; the files at its top go last.

        Raises:
            StorageError: the store does not answer, or does not let us delete.
        """
        for name in sorted(objects.below(self.place), key=lambda name: (-name.count("/"), name)):
            objects.delete(child(self.place, name).url)
        self._begin()

    def push(self) -> None:
        """Send what is new or changed, then delete there what was sent once and is here no longer.

        Raises:
            StorageError: the store does not answer, or does not let us write.
        """
        sent = self._sent()
        with tempfile.TemporaryDirectory(prefix="picture-", dir=self._home) as scratch:
            names = _picture(self.folder, Path(scratch))
            for name in names:
                file = Path(scratch, name)
                status = file.stat()
                known = sent.get(name)
                if known and (known.size, known.modified) == (status.st_size, status.st_mtime_ns):
                    continue
                thing = objects.upload(file, child(self.place, name))
                sent[name] = _Sent(status.st_size, status.st_mtime_ns, thing.tag)
                self._remember(sent)
        for name in sent.keys() - set(names):
            objects.delete(child(self.place, name).url)
            del sent[name]
            self._remember(sent)

    def _begin(self) -> None:
        (self._home / _NOTE).unlink(missing_ok=True)  # first: what is not whole must not be taken for known
        _emptied(self.folder)

    def _sent(self) -> dict[str, _Sent]:
        try:
            rows = json.loads((self._home / _NOTE).read_text(encoding="utf-8"))
            return {name: _Sent(*row) for name, row in rows.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _remember(self, sent: dict[str, _Sent]) -> None:
        partial = self._home / f"{_NOTE}.part"
        rows = {name: [row.size, row.modified, row.tag] for name, row in sent.items()}
        partial.write_text(json.dumps(rows), encoding="utf-8")
        partial.replace(self._home / _NOTE)


class Pushing:
    """Pushes a mirror in a thread of its own, whenever one file of it has changed; leaving the context pushes the rest.

    A store that is away costs a message and nothing else until then.

    Args:
        mirror: what to push.
        watched: the file, below the folder, whose change says that there is something worth keeping.
        say: told of an outage, and of its end.

    Raises:
        StorageError: on leaving: the last push failed.
    """

    def __init__(self, mirror: Mirror, watched: str, say: Callable[[str], None]) -> None:
        self._mirror, self._watched, self._say = mirror, mirror.folder / watched, say
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steno-push", daemon=True)
        self._pushed: object = None
        self._away = False

    def __enter__(self) -> "Pushing":
        self._pushed = _stamp(self._watched)  # not in the thread: what is written from here on is news
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._mirror.push()
        except StorageError as error:
            raise StorageError(
                f"{error.message}; the folder is not whole there",
                f"{error.hint} What was saved is in {self._mirror.folder}, and --resume goes on with it.",
            ) from error

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            if (stamp := _stamp(self._watched)) == self._pushed:
                continue
            try:
                self._mirror.push()
            except (StorageError, OSError) as error:
                if not self._away:
                    self._say(f"what was saved is not in the store yet: {error}")
                self._away = True
                continue
            if self._away:
                self._say(f"{self._mirror.place.url}: what was saved is in the store again")
            self._pushed, self._away = stamp, False


def _picture(folder: Path, target: Path) -> list[str]:
    """Links to the folder's files, all of one moment, in ``target``; their names in the order of their writing.

    Files are replaced by renames and so keep, under another link, what they held. Only a log that grows goes on.
    """
    while True:
        before = _files(folder)
        _emptied(target)
        try:
            for name in before:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.link(folder / name, target / name)
        except FileNotFoundError:
            continue  # removed meanwhile
        changed = {name for name, _ in _files(folder).items() ^ before.items()}
        if not any(_replaced(folder / name, target / name) for name in changed):
            return sorted(before, key=lambda name: (before[name][1], name))


def _replaced(now: Path, picture: Path) -> bool:
    """Whether a file is another one than in the picture, or is missing in one of the two."""
    try:
        return now.stat().st_ino != picture.stat().st_ino
    except FileNotFoundError:
        return True


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file, but for hidden ones, locks and such as are being written."""
    found: dict[str, tuple[int, int]] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if name.startswith(".") or name == "lock" or path.suffix == ".part":
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns)
    return found


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    except FileNotFoundError:
        return None


def _sent(file: Path, tag: str) -> _Sent:
    status = file.stat()
    return _Sent(status.st_size, status.st_mtime_ns, tag)


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
