"""A run that torchrun starts again, after a process died, goes on from its last checkpoint by itself.

Which torchrun has begun to train in a folder is noted there. So one that was refused, because the folder holds
another run, is refused again when torchrun tries once more.
"""

import contextlib
import json
import os
import secrets
import socket
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from steno.errors import StenoError

NOTE = "torchrun.json"

_PATIENCE = 600
_LOOK = "Look at what the other machines say."


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


def join(backend: str) -> None:
    """Let torchrun's processes meet under names that no earlier attempt has used.

    torchrun keeps one store for all attempts, in which the addresses of dead processes remain (torch 2.13,
    ``torch/distributed/rendezvous.py``); a process that took them for its fellows' would wait in vain. How often it has
    tried is no name either: its agents on several machines may count differently.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return  # then the first process opens a store anew
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if backend == "nccl":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, world, is_master=False, timeout=timedelta(seconds=_PATIENCE))
    named = PrefixStore(meet(store, rank, world), store)
    torch.distributed.init_process_group(backend, store=named, rank=rank, world_size=world)


def meet(store: Store, rank: int, world: int) -> str:
    """A name that the living processes agree on, whatever dead ones have left in the store.

    Each process leaves a word that is new and waits for the answer to that very word; the first process answers
    every word, also the dead ones', until all have taken its name up.

    Raises:
        StenoError: some process did not come.
    """
    word = secrets.token_hex(8)
    if rank:
        store.set(f"steno/word/{rank}", word)
        _wait(store, [f"steno/answer/{word}"])
        name = store.get(f"steno/answer/{word}").decode()
        store.set(f"steno/taken/{name}/{rank}", "")
        return name
    others, answered = range(1, world), set[bytes]()
    deadline = time.monotonic() + _PATIENCE
    while not all(store.check([f"steno/taken/{word}/{other}"]) for other in others):
        for other in others:
            if store.check([key := f"steno/word/{other}"]) and (heard := store.get(key)) not in answered:
                store.set(f"steno/answer/{heard.decode()}", word)
                answered.add(heard)
        if time.monotonic() > deadline:
            raise StenoError(f"not all {world} processes came within {_PATIENCE // 60} minutes", _LOOK)
        time.sleep(0.02)
    return word


def _wait(store: Store, keys: list[str]) -> None:
    try:
        store.wait(keys, timedelta(seconds=_PATIENCE))
    except RuntimeError as error:
        raise StenoError(f"the first process did not answer ({str(error).partition(chr(10))[0]})", _LOOK) from error


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
