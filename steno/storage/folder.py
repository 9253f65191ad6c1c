"""Folders of a store: a copy of a small one, the layout of a great one, the recordings in it."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steno.errors import StorageError
from steno.storage import objects
from steno.storage.cache import cache_home, fetch
from steno.storage.location import Place, parse
from steno.storage.objects import Object

TEXTS = frozenset({".txt", ".tsv", ".csv", ".tab", ".srt", ".vtt", ".ass", ".ssa", ".stm", ".textgrid", ".eaf"})
"""Endings of the files that say what is spoken in a corpus."""

_TEXT_NAMES = frozenset({"wav.scp", "text", "segments", "utt2spk"})  # Kaldi's

_THREADS = 8


def fetch_folder(path: str | os.PathLike[str], must_hold: str | None = None) -> Path:
    """A copy on this machine of the folder as it is now; what was fetched before is not fetched again.

    Raises:
        StorageError: there is no such folder, or it lacks the file that it must hold; it changed meanwhile; or the
            store does not answer.
    """
    place = parse(path)
    there = objects.below(place)
    if not there or (must_hold is not None and must_hold not in there):
        problem = f"has no {must_hold}" if there else "no such folder, or an empty one"
        raise StorageError(f"{place.url}: {problem}", "Check the name; it is case-sensitive.")
    version = "\n".join(f"{name} {thing.size} {thing.tag}" for name, thing in there.items())
    key = hashlib.sha256(f"{objects.identity(place)}\n{place.url}\n{version}".encode()).hexdigest()[:32]
    kept = cache_home() / "folders" / key
    if not kept.is_dir():
        _fetch_all(place, there, kept)
    return kept


def fetch_into(place: Place, there: dict[str, Object], folder: Path) -> None:
    """Fetch objects by their names below a place into a folder.

    Raises:
        StorageError: one of them cannot be had.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda name: fetch(child(place, name), there[name], folder / name), there))


def child(place: Place, name: str) -> Place:
    """The place of that name below another."""
    return Place(place.scheme, place.root, f"{place.key}/{name}".lstrip("/"))


@dataclass(frozen=True)
class Layout:
    """A corpus' tree on this machine: texts as they are, recordings as empty files.

    ``source`` is what was asked for, ``root`` the folder that stands for the place ``top`` in the store.
    """

    source: Path
    root: Path
    top: Place

    def place(self, path: Path) -> Path:
        """The place in the store that a path of the tree stands for; any other path as it is."""
        return Path(self.top.url, path.relative_to(self.root)) if path.is_relative_to(self.root) else path

    def named(self, text: str) -> str:
        """A message with the names that the store has."""
        return text.replace(str(self.root), self.top.url)


@contextmanager
def layout(source: Path) -> Iterator[Layout]:
    """The tree of a corpus, or of a single table, for as long as the context lasts.

    So whoever reads a corpus finds names and texts as on a disk, and a terabyte of recordings stays where it is.

    Raises:
        StorageError: there is nothing, or the store does not answer.
    """
    place = parse(source)
    there = objects.below(place)
    single = not there
    name = place.key.rpartition("/")[2]
    top = Place(place.scheme, place.root, place.key.rpartition("/")[0]) if single else place
    if single:
        there = objects.below(top)
        if name not in there:
            raise StorageError(f"{place.url}: no such file or folder", "Check the name; it is case-sensitive.")
    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        # The names above may mean something, such as a speaker.
        root = Path(scratch).resolve() / top.root / top.key
        texts = {name} if single else set(filter(_is_text, there))
        fetch_into(top, {text: there[text] for text in texts}, root)
        for other in there.keys() - texts:
            (root / other).parent.mkdir(parents=True, exist_ok=True)
            (root / other).touch()
        yield Layout(root / name if single else root, root, top)


def _is_text(name: str) -> bool:
    path = Path(name)
    return path.suffix.lower() in TEXTS or path.name in _TEXT_NAMES


def recordings_below(path: str | os.PathLike[str], is_audio: Callable[[Path], bool]) -> list[str]:
    """The recordings of a folder in a store, sorted; empty if it is an object or nothing.

    Raises:
        StorageError: the store does not answer.
    """
    place = parse(path)
    return [child(place, name).url for name in objects.below(place) if is_audio(Path(name))]


def _fetch_all(place: Place, there: dict[str, Object], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".part-", dir=target.parent))
    try:
        fetch_into(place, there, partial)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # another process was first, with the same files
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
