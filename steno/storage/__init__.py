"""Object stores: S3 and Azure Blob beside the disk, through fsspec, with a cache on this machine.

A place in a store is a ``Path`` like any other, ``Path("s3://bucket/speech/a.flac")``: its parent, its name and its
suffix are what they seem. Whoever opens it asks :func:`local` for the file on this machine first.
"""

from steno.storage.cache import cache_home, local
from steno.storage.folder import Layout, fetch_folder, layout, recordings_below
from steno.storage.location import absolute, is_remote, shown
from steno.storage.objects import delete, library_errors, write_bytes

__all__ = [
    "Layout",
    "absolute",
    "cache_home",
    "delete",
    "fetch_folder",
    "is_remote",
    "layout",
    "library_errors",
    "local",
    "recordings_below",
    "shown",
    "write_bytes",
]
