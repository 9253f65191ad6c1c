"""How many cores there are to work on."""

import os


def usable_cores() -> int:
    """Cores that this process may use; where the system does not say which, as on macOS, those of the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
