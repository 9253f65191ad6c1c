"""Memory that a step frees is kept for the next one."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
"""glibc's ``malloc.h``."""
_GROW = 256 * 1024 * 1024


def keep_freed_memory() -> None:
    """Let glibc's allocator keep what is freed, until the process ends.

    Without this it gives every large tensor's memory back to the system as soon as it is freed and asks for it anew in
    the next step, and the system clears each page of it again. Other systems' allocators are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)  # never
        mallopt(_M_TOP_PAD, _GROW)
