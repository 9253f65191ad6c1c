"""Memory that a step frees, and kernels that it makes, are kept for the next one."""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
"""glibc's ``malloc.h``."""
_GROW = 256 * 1024 * 1024
_KERNELS = 4096
"""About 60 shapes of batches (``few_lengths`` of BatchLoader) times 40 kernels; 1024 is oneDNN's own choice."""


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


def keep_kernels() -> None:
    """Let oneDNN, which computes convolutions and products on CPUs, keep its kernels of all shapes of batches.

    It makes one for each shape when it first comes, and makes it anew once it has had to give it up. It looks at this
    variable when it makes the first one; a user's own value stands. Source: oneDNN's developer guide, "Primitive
    Cache".
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS))
