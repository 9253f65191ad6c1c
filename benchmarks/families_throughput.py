"""How much audio a second each family trains on, how much memory that takes, and how far the device is made use of.

    python benchmarks/families_throughput.py
    python benchmarks/families_throughput.py recipes/librispeech-6h.yaml --precision bf16 --seconds 10 --steps 5

Each recipe is measured in a process of its own, on noise, with the recipe's model, front-end, masks and batch size: the
whole step, from samples to new weights, but no loading of files. Memory is the greatest resident set of that process
above what it held before the model was made; on a GPU the greatest that was allocated. The matrix rate is that of a
product of two square matrices in the same precision, measured in the same process before the steps; the share counts
the products, convolutions and attention of the forward direction three times, as the backward one has twice as many,
and not recurrent layers, which the counter does not see.
"""

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steno.cli.app import guarded, settle_threads
from steno.errors import StenoError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from steno.models.registry import AcousticModel
    from steno.training.recipe import Recipe

HOME = Path(__file__).resolve().parent
# A checkpoint to be fetched first is left to whoever names its recipe.
RECIPES = sorted(
    path for path in HOME.parent.glob("recipes/librispeech-6h*.yaml") if not path.stem.endswith(("wav2vec2", "gpu"))
)
CHARACTERS_A_SECOND = 14
PRECISIONS = ("32", "bf16")
_SIDE = {"cpu": 1536, "cuda": 8192}
"""Rows of the matrices whose product gives the matrix rate."""


@dataclass(frozen=True)
class Measured:
    """One family in one precision; the rates are a second of wall time, memory is in bytes."""

    recipe: str
    architecture: str
    precision: str
    parameters: int
    batch: int
    audio_rate: float
    memory: int
    flops: float
    matrix_flops: float
    steps: int

    @property
    def share(self) -> float:
        """Of the device's matrix rate."""
        return self.flops / self.matrix_flops


def measure(
    recipe: "Recipe", precision: str, seconds: float, steps: int, device: str, batch: int | None = None
) -> Measured:
    """Train for some steps on noise.

    Args:
        recipe: the model, its front-end, and its batch.
        precision: 32 or bf16.
        seconds: length of each utterance.
        steps: that are timed, after one that is not.
        device: cpu or cuda.
        batch: utterances a step; None: as many as the recipe allows.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from steno.training.memory import keep_freed_memory

    if device == "cpu":
        keep_freed_memory()
    rate = matrix_rate(device, precision)
    before = _memory(device)
    model, optimizer, labels = built(recipe, device)
    data = recipe.data
    count = batch or max(1, min(data.batch_size, int(data.batch_seconds / seconds)))
    samples_bn = 0.1 * torch.randn(count, round(seconds * recipe.features.sample_rate), device=device)

    counter = FlopCounterMode(display=False)  # torch's own count of the way back takes grouped convolutions for dense

    def step(counting: bool = False) -> None:
        with counter if counting else nullcontext():
            loss = loss_of(model, recipe, samples_bn, labels, precision)
        update(model, optimizer, loss, recipe)
        if device == "cuda":
            torch.cuda.synchronize()

    step(counting=True)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    wall = time.perf_counter() - started
    return Measured(
        recipe.name,
        recipe.model.architecture,
        precision,
        sum(parameter.numel() for parameter in model.parameters()),
        count,
        steps * count * seconds / wall,
        _memory(device) - before,
        3 * steps * counter.get_total_flops() / wall,
        rate,
        steps,
    )


def built(recipe: "Recipe", device: str = "cpu") -> tuple["AcousticModel", "torch.optim.Optimizer", int]:
    """The recipe's model, its optimiser, and the number of its labels without the blank."""
    import torch

    from steno.models.registry import AcousticModel
    from steno.training.optim import build_optimizer

    torch.manual_seed(recipe.seed)
    labels = recipe.tokenizer.size or len(recipe.tokenizer.alphabet)
    model = AcousticModel(recipe.features, recipe.model, labels + 1).to(device).train()
    return model, build_optimizer(model, recipe.optimizer, model.learning_rate_scales()), labels


def update(model: "AcousticModel", optimizer: "torch.optim.Optimizer", loss: "Tensor", recipe: "Recipe") -> None:
    """The second half of a step, from the loss to new weights."""
    import torch

    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.training.grad_clip or float("inf"))
    optimizer.step()
    optimizer.zero_grad()


def loss_of(model: "AcousticModel", recipe: "Recipe", samples_bn: "Tensor", labels: int, precision: str) -> "Tensor":
    import torch
    from torch.nn import functional as F

    count, length = samples_bn.shape
    device = samples_bn.device
    mask = recipe.augment.mask
    masks = (mask, torch.rand(count, mask.draws, device=device)) if mask else None
    lengths_b = torch.full((count,), length, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        log_probs, frames_b = model(samples_bn, lengths_b, masks, recipe.intermediate)
    spoken = min(int(CHARACTERS_A_SECOND * length / recipe.features.sample_rate), int(frames_b[0]) // 2)
    labels_bl = torch.randint(1, labels + 1, (count, spoken), device=device)
    spoken_b = torch.full((count,), spoken, device=device)
    layers = model.heads(log_probs).labels_lbtv
    losses = [F.ctc_loss(layer.transpose(0, 1), labels_bl, frames_b, spoken_b) for layer in layers]
    return torch.stack(losses).mean()


def matrix_rate(device: str, precision: str) -> float:
    """Floating-point operations a second of a matrix product, the best of several."""
    import torch

    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    side = _SIDE[device]
    first, second = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        started = time.perf_counter()
        first @ second
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


def _memory(device: str) -> int:
    """The most that was in use so far, in bytes."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def print_table(rows: list[Measured], device: str, seconds: float) -> None:
    """One line a recipe and precision."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"training steps on utterances of {seconds:g} s, {device}")
    for name in ("recipe", "family", "parameters", "precision", "batch", "audio s/s", "peak MB", "GFLOP/s", "share"):
        table.add_column(name, justify="left" if name in ("recipe", "family") else "right")
    for row in rows:
        table.add_row(
            row.recipe,
            row.architecture,
            f"{row.parameters / 1e6:.1f} M",
            row.precision,
            str(row.batch),
            f"{row.audio_rate:.0f}",
            f"{row.memory / 1e6:.0f}",
            f"{row.flops / 1e9:.0f}",
            f"{row.share:.0%} of {row.matrix_flops / 1e12:.2f} T",
        )
    Console(width=140).print(table)


def main(
    recipes: Annotated[list[Path] | None, typer.Argument(help="Recipes; those of librispeech-6h by default.")] = None,
    precision: Annotated[str | None, typer.Option(help="32 or bf16; both by default.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of the utterances.", min=1)] = 12.0,
    steps: Annotated[int, typer.Option(help="Steps that are timed.", min=1)] = 5,
    threads: Annotated[
        int | None, typer.Option(help="Threads of torch on a CPU; one a core by default.", min=1)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    batch: Annotated[
        int | None, typer.Option(help="Utterances a step; by default as many as the recipe allows.", min=1)
    ] = None,
    one: Annotated[bool, typer.Option("--one", hidden=True)] = False,
) -> None:
    """Measure training throughput and peak memory of families of models."""
    if precision not in (None, *PRECISIONS) or device not in _SIDE:
        raise StenoError("--precision is 32 or bf16, --device is cpu or cuda")
    found = recipes or RECIPES
    if one:
        import torch

        from steno.training.recipe import load_recipe

        if threads:
            torch.set_num_threads(threads)
        print(json.dumps(asdict(measure(load_recipe(found[0]), precision or "32", seconds, steps, device, batch))))
        return
    rows = []
    for recipe in found:
        for kind in (precision,) if precision else PRECISIONS:
            options = ["--precision", kind, "--seconds", str(seconds), "--steps", str(steps), "--device", device]
            options += ["--threads", str(threads)] if threads else []
            options += ["--batch", str(batch)] if batch else []
            command = [sys.executable, __file__, str(recipe), *options, "--one"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                raise StenoError(f"{recipe} could not be measured: exit code {done.returncode}")
            rows.append(Measured(**json.loads(done.stdout.splitlines()[-1])))
            print(f"{rows[-1].recipe} {kind}: {rows[-1].audio_rate:.0f} s of audio a second", file=sys.stderr)
    print_table(rows, device, seconds)
    print(f"load {os.getloadavg()[0]:.1f}, {threads or len(os.sched_getaffinity(0))} threads")


if __name__ == "__main__":
    settle_threads()
    guarded(lambda: typer.run(main))
