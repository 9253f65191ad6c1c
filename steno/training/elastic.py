"""A run that torchrun starts again, after a process died, goes on from its last checkpoint by itself.

Which torchrun has begun to train in a folder is noted there. So one that was refused, because the folder holds
another run, is refused again when torchrun tries once more.
"""

import contextlib
import json
import os
import socket
from datetime import timedelta
from pathlib import Path

import torch
from torch._C._distributed_c10d import PrefixStore, TCPStore

NOTE = "torchrun.json"


def is_own(run_dir: Path) -> bool:
    """Whether the run in the folder is one that this very torchrun has begun or gone on with before."""
    me = _me()
    if me is None:
        return False
    try:
        note = json.loads((run_dir / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(note, dict):
        return False
    restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    same_job = note.get("job") == me["job"] not in ("", "none")
    return note.get("agent") == me["agent"] or (restarted and same_job)


def claim(run_dir: Path) -> None:
    """Note that this torchrun trains in the folder; nothing is noted where there is none."""
    me = _me()
    if me is not None:
        (run_dir / NOTE).write_text(json.dumps(me), encoding="utf-8")


def disclaim(run_dir: Path) -> None:
    """Forget who trained in the folder."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        (run_dir / NOTE).unlink()


def rejoin(backend: str) -> None:
    """Let the processes of a later attempt meet, where torchrun was given no rendezvous of its own (``--rdzv-id``).

    Its static rendezvous keeps one store for all attempts, in which the addresses of the dead processes remain
    (torch 2.13, ``torch/distributed/rendezvous.py``). Each attempt therefore gets names of its own.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if attempt == "0" or os.environ.get("TORCHELASTIC_RUN_ID") != "none":
        return
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if backend == "nccl":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, world, is_master=False, timeout=timedelta(minutes=10))
    named = PrefixStore(f"attempt-{attempt}", store)
    torch.distributed.init_process_group(backend, store=named, rank=rank, world_size=world)


def _me() -> dict[str, str] | None:
    """Names of the job and of torchrun's process on this machine; None without torchrun."""
    job = os.environ.get("TORCHELASTIC_RUN_ID")
    if job is None:
        return None
    parent = os.getppid()
    try:
        # The 22nd field is when the process started: numbers of processes are used again. Source: proc(5).
        started = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        started = ""
    return {"job": job, "agent": f"{socket.gethostname()} {parent} {started}"}
