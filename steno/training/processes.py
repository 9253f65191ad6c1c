"""What the processes of a run tell each other; one alone asks itself."""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

Thing = TypeVar("Thing")


def summed(fabric: Fabric, values: Sequence[float]) -> list[float]:
    """Each value summed over the processes."""
    if fabric.world_size == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    torch.distributed.all_reduce(total)
    found: list[float] = total.tolist()
    return found


def gathered(fabric: Fabric, mine: Thing) -> list[Thing]:
    """What each process has, in the order of their ranks."""
    if fabric.world_size == 1:
        return [mine]
    everyone: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(everyone, mine)
    return everyone


def parted(fabric: Fabric) -> None:
    """Wait for the others, and end the connections to them: a process that exits with them open may be aborted.

    Nothing may hold on to a model that was set up for several processes: torch 2.13 would end the connections with that
    model, and there it joins its threads while it holds the lock that they may be waiting for.
    """
    fabric.barrier()
    if fabric.world_size > 1:
        torch.distributed.destroy_process_group()


def told(fabric: Fabric, tensors: dict[str, Tensor], about: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and plain values of the first process, on all of them: only its machine needs to have the file."""
    if fabric.world_size == 1:
        return tensors, about
    shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    shapes, about = fabric.broadcast((shapes, about))
    found = {}
    for name, (shape, kind) in shapes.items():
        tensor = tensors[name] if fabric.is_global_zero else torch.empty(shape, dtype=kind)
        moved = tensor.to(fabric.device)
        torch.distributed.broadcast(moved, src=0)
        found[name] = moved.cpu()
    return found, about
