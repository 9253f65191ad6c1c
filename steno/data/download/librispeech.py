"""LibriSpeech and mini LibriSpeech, part by part.

Addresses and MD5 sums: https://www.openslr.org/12/ and /31/ with their ``md5sum.txt``. A part appears in
``DIR/LibriSpeech/PART`` in one step (a rename), with a note of what it holds; everything unfinished lies in
``DIR/.download``.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from steno import audio
from steno.data.download.archive import unpack
from steno.data.download.fetch import (
    DownloadError,
    Retry,
    Watcher,
    disk_error,
    fetch,
    fetched_bytes,
    remote_size,
)

MIRRORS = (
    "https://www.openslr.org/resources",
    "https://openslr.trmal.net/resources",
    "https://us.openslr.org/resources",
    "https://openslr.elda.org/resources",
    "https://openslr.magicdatatech.com/resources",
)
"""OpenSLR and its mirrors in the US (two names), the EU and China; below each lies RESOURCE/PART.tar.gz."""

_UNPACKED = 1.1
"""Bytes on the disk per byte of archive. FLAC does not shrink any more; the tenth is blocks half full."""


@dataclass(frozen=True)
class Part:
    """One archive of the corpus.

    Args:
        name: LibriSpeech's name of the part, and its folder's.
        resource: OpenSLR's number of the corpus.
        md5: sum of the archive, from the corpus's own ``md5sum.txt``.
    """

    name: str
    resource: int
    md5: str

    def urls(self, mirrors: Sequence[str]) -> list[str]:
        """The archive's address on each mirror."""
        return [f"{mirror.rstrip('/')}/{self.resource}/{self.name}.tar.gz" for mirror in mirrors]


PARTS = {
    part.name: part
    for part in (
        Part("train-clean-100", 12, "2a93770f6d5c6c964bc36631d331a522"),
        Part("train-clean-360", 12, "c0e676e450a7ff2f54aeade5171606fa"),
        Part("train-other-500", 12, "d1a0fd59409feb2c614ce4d30c387708"),
        Part("dev-clean", 12, "42e2234ba48799c1f50f24a7926300a1"),
        Part("dev-other", 12, "c8d0bcc9cca99d4f8b62fcc847357931"),
        Part("test-clean", 12, "32fa31d27d2e1cad72775fee3f4849a9"),
        Part("test-other", 12, "fb5a50374b501bb3bac4815ee91d3135"),
        Part("train-clean-5", 31, "5df7d4e78065366204ca6845bb08f490"),
        Part("dev-clean-2", 31, "6d7ab67ac6a1d2c993d050e16d61080d"),
    )
}


@dataclass(frozen=True)
class Fetched:
    """What a part's folder holds now; ``new`` is False if it was all there before."""

    part: Part
    folder: Path
    utterances: int
    new: bool


@dataclass(frozen=True)
class _Note:
    """What was unpacked into a part's folder, kept inside it."""

    md5: str
    utterances: int
    limit: int | None

    @staticmethod
    def read(folder: Path) -> "_Note | None":
        try:
            return _Note(**json.loads((folder / _NOTE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        (folder / _NOTE).write_text(json.dumps(self.__dict__) + "\n", encoding="utf-8")


_NOTE = ".steno-part.json"


def find_parts(names: Sequence[str]) -> list[Part]:
    """The parts of these names, each once.

    Raises:
        DownloadError: a name is not LibriSpeech's.
    """
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise DownloadError(f"LibriSpeech has no part {unknown[0]!r}", f"Its parts are: {', '.join(PARTS)}")
    return [PARTS[name] for name in dict.fromkeys(names)]


def download(
    parts: Sequence[Part],
    to: Path,
    watcher: Watcher,
    *,
    limit: int | None = None,
    mirrors: Sequence[str] = MIRRORS,
    retry: Retry | None = None,
) -> Iterator[Fetched]:
    """Fetch, check and unpack parts below ``to``, one after the other; those that are there are left alone.

    Args:
        parts: what to fetch.
        to: the folder that gets ``LibriSpeech/PART``.
        limit: keep the first so many utterances of each part, in the order of their ids.
        mirrors: addresses below which ``RESOURCE/PART.tar.gz`` lies, the best first.

    Raises:
        DownloadError: no mirror works, a checksum is wrong, the disk is too small, or a folder is in the way.
    """
    retry = retry or Retry()
    with _only_one(to, watcher):
        found = {part: _present(to, part, limit) for part in parts}
        missing = [part for part in parts if found[part] is None]
        if missing:
            _check_space(missing, to, mirrors, watcher, retry)
        for part in parts:
            yield found[part] or _bring(part, to, watcher, limit, mirrors, retry)


def keep_first(folder: Path, limit: int) -> int:
    """Leave the first ``limit`` utterances below a folder, recordings and transcript rows, by their ids' order.

    Returns:
        The number of utterances that are there now.
    """
    recordings = sorted(_recordings(folder), key=lambda path: path.stem)
    kept = {os.fsencode(path.stem) for path in recordings[:limit]}
    for path in recordings[limit:]:
        path.unlink()
    for transcript in list(folder.rglob("*.trans.txt")):
        rows = transcript.read_bytes().splitlines(keepends=True)
        left = [row for row in rows if row.strip() and row.split(maxsplit=1)[0] in kept]
        if left:
            transcript.write_bytes(b"".join(left))
        else:
            transcript.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return min(limit, len(recordings))


def _recordings(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if audio.is_audio(path))


def _present(to: Path, part: Part, limit: int | None) -> Fetched | None:
    """The part if it is there as wanted; None if it has to be fetched (again)."""
    folder = to / "LibriSpeech" / part.name
    if not folder.exists():
        return None
    note = _Note.read(folder)
    if note is None:
        raise DownloadError(
            f"{folder}: is there, but this command did not put it there",
            f"If it is whole, go on with: steno data prepare {folder}; otherwise move it away or give another --to.",
        )
    if note.md5 != part.md5 or sum(1 for _ in _recordings(folder)) != note.utterances:
        return None
    whole = note.limit is None or note.limit > note.utterances
    if limit is not None and note.utterances > limit:
        raise DownloadError(
            f"{folder}: holds {note.utterances} utterances already; --limit {limit} would remove some of them",
            "Give another folder with --to.",
        )
    if whole or note.utterances == limit:
        return Fetched(part, folder, note.utterances, new=False)
    return None


def _check_space(parts: Sequence[Part], to: Path, mirrors: Sequence[str], watcher: Watcher, retry: Retry) -> None:
    """Refuse before the first byte if the disk cannot hold what is to come."""
    needed = unpacked = 0
    for part in parts:
        size = remote_size(part.urls(mirrors), watcher, retry)
        if size is None:
            watcher.note(f"{part.name}: the mirror does not tell its size, so the disk is not checked for it")
            continue
        # An archive goes when its part is unpacked, so only one is there at a time.
        to_fetch = max(0, size - fetched_bytes(_archive(to, part)))
        unpacked += int(size * _UNPACKED)
        needed = max(needed, unpacked + to_fetch)
    free = shutil.disk_usage(to).free
    if needed > free:
        raise DownloadError(
            f"{to}: not enough room on the disk: {_gigabytes(needed)} are needed for "
            f"{', '.join(part.name for part in parts)} (archive and unpacked), {_gigabytes(free)} are free, "
            f"{_gigabytes(needed - free)} are missing",
            "Free some space, give another folder with --to, or take a smaller part (train-clean-5, dev-clean-2).",
        )


def _bring(part: Part, to: Path, watcher: Watcher, limit: int | None, mirrors: Sequence[str], retry: Retry) -> Fetched:
    archive = _archive(to, part)
    staging = archive.with_name(f"{part.name}.unpacking")
    folder = to / "LibriSpeech" / part.name
    try:
        fetch(part.urls(mirrors), archive, part.md5, watcher, retry)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            unpack(archive, staging, watcher)
            utterances = _settle(part, staging / "LibriSpeech", folder, limit)
        except DownloadError:
            archive.unlink()  # what is refused once would be refused again
            raise
        archive.unlink()
    except OSError as error:
        raise disk_error(to, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Fetched(part, folder, utterances, new=True)


def _settle(part: Part, unpacked: Path, folder: Path, limit: int | None) -> int:
    """Move an unpacked part to its place, last of all and in one step; its number of utterances."""
    fresh = unpacked / part.name
    if not fresh.is_dir():
        raise DownloadError(f"{part.name}.tar.gz: holds no LibriSpeech/{part.name}", "Give another --mirror URL.")
    utterances = sum(1 for _ in _recordings(fresh)) if limit is None else keep_first(fresh, limit)
    if not utterances:
        raise DownloadError(f"{part.name}.tar.gz: holds no recordings", "Give another --mirror URL.")
    _Note(part.md5, utterances, limit).write(fresh)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for path in unpacked.iterdir():
        if path.is_file():
            path.replace(folder.parent / path.name)
    if folder.exists():
        folder.replace(unpacked / "replaced")
    fresh.replace(folder)
    return utterances


def _archive(to: Path, part: Part) -> Path:
    return to / ".download" / f"{part.name}.tar.gz"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


@contextmanager
def _only_one(to: Path, watcher: Watcher) -> Iterator[None]:
    """Hold the folder, so that two downloads never write the same file."""
    try:
        (to / ".download").mkdir(parents=True, exist_ok=True)
        handle = os.open(to, os.O_RDONLY)
    except OSError as error:
        raise disk_error(to, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise DownloadError(f"{to}: another download is writing there", "Wait until it has finished.") from error
    except OSError as error:
        watcher.note(f"{to}: this file system has no locks ({error.strerror}); do not download twice at once")
    try:
        yield
    finally:
        with suppress(OSError):  # it stays while something unfinished lies in it
            (to / ".download").rmdir()
        os.close(handle)
