"""Cores to work on, and what the processes on them do first."""

import os
import signal
import threading
from multiprocessing import parent_process


def usable_cores() -> int:
    """Cores that this process may use; where the system does not say which, as on macOS, those of the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def become_worker() -> None:
    """Make this process a worker of another, which spawned it.

    Ctrl-C is left to the parent, the decoders' own chatter stays off the terminal (errors are returned), and when the
    parent is gone, this process is, too, also if it was killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
