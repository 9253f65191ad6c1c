"""Unpacking that cannot write outside its folder."""

import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from steno.data.download.fetch import CHUNK, DownloadError, Watcher


class _Counted(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, watcher: Watcher) -> None:
        super().__init__(path)
        self._done, self._total, self._watcher = 0, path.stat().st_size, watcher

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self._done += len(data)
        self._watcher.progress("unpacking", self._done, self._total)
        return data


def unpack(archive: Path, to: Path, watcher: Watcher) -> None:
    """Unpack a ``.tar.gz`` of plain files and folders below ``to``.

    An archive with an absolute path, a ``..``, a link or a device is refused as a whole: no corpus has one.

    Raises:
        DownloadError: the archive is hostile or damaged.
        OSError: the disk is full or not writable.
    """
    to.mkdir(parents=True, exist_ok=True)

    def checked(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise _hostile(archive, f"{member.name!r} points outside the folder")
        if not (member.isreg() or member.isdir()):
            raise _hostile(archive, f"{member.name!r} is neither a file nor a folder")
        return tarfile.data_filter(member, path)

    try:
        # A stream is read once, front to back, in blocks of this many bytes.
        with _Counted(archive, watcher) as file, tarfile.open(fileobj=file, mode="r|gz", bufsize=CHUNK) as tar:
            tar.extractall(to, filter=checked)
    except tarfile.FilterError as error:
        raise _hostile(archive, str(error)) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DownloadError(
            f"{archive}: cannot be unpacked ({error})", "The archive is damaged; run the command again."
        ) from error


def _hostile(archive: Path, reason: str) -> DownloadError:
    return DownloadError(
        f"{archive.name}: refused, {reason}",
        "This is not the corpus as it was published; fetch it from another mirror with --mirror URL.",
    )
