"""Public corpora from their mirrors: fetched, checked, unpacked."""

from steno.data.download.fetch import DownloadError, Watcher
from steno.data.download.librispeech import MIRRORS, PARTS, Fetched, Part, download, find_parts

__all__ = ["MIRRORS", "PARTS", "DownloadError", "Fetched", "Part", "Watcher", "download", "find_parts"]
