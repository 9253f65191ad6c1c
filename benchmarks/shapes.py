"""How training on a CPU slows down with the number of shapes its batches have, and what few lengths give.

    python benchmarks/shapes.py
    python benchmarks/shapes.py recipes/librispeech-6h.yaml --blocks 6 --steps 50

Two processes train the recipe's model on the same batches, of noise, in turns: one as `steno train` does, with batches
of few lengths and oneDNN's kernels kept; one with batches as long as their longest utterance and oneDNN's own number of
kernels. Utterances last 2 to 17 s, most of them near 15 s, as in LibriSpeech, and batches are planned as in training,
so that shapes come back as they do there. Only audio counts, not what is padded.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from families_throughput import built, loss_of, update

from steno.cli.app import guarded, settle_threads

if TYPE_CHECKING:
    from torch import Tensor

    from steno.training.recipe import Recipe

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "librispeech-6h.yaml"
UTTERANCES = 2000


def planned(recipe: "Recipe", few: bool) -> Iterator[tuple[float, "Tensor"]]:
    """Seconds of audio and samples (N, S) of one batch after the other, pass by pass."""
    from steno.data.batching import plan_batches
    from steno.data.loading import Item, collate

    generator = np.random.default_rng(recipe.seed)
    durations = generator.triangular(2, 15, 17, UTTERANCES)
    for number in count():
        seconds = (durations / generator.choice(recipe.augment.speed or (1.0,), UTTERANCES)).astype(np.float32)
        for batch in plan_batches(
            seconds,
            np.arange(UTTERANCES),
            batch_seconds=recipe.data.batch_seconds,
            batch_size=recipe.data.batch_size,
            seed=recipe.seed,
            number=number,
        ):
            lengths = (seconds[batch] * recipe.features.sample_rate).astype(int)
            items = [Item(0, 0.1 * generator.standard_normal(n).astype(np.float32), [1], []) for n in lengths]
            yield float(seconds[batch].sum()), collate(items, few).samples_bn


def work(recipe_file: Path, few: bool, steps: int) -> None:
    """Train for some steps at each line that comes in; answer with seconds of audio a second, and resident GB."""
    import psutil

    from steno.training.memory import keep_freed_memory, keep_kernels
    from steno.training.recipe import load_recipe

    keep_freed_memory()
    if few:
        keep_kernels()
    recipe = load_recipe(recipe_file)
    model, optimizer, labels = built(recipe)
    precision = "bf16" if recipe.training.precision == "bf16" else "32"
    batches = planned(recipe, few)
    for _ in sys.stdin:
        audio, wall = 0.0, 0.0
        for seconds, samples_bn in islice(batches, steps):
            started = time.perf_counter()
            update(model, optimizer, loss_of(model, recipe, samples_bn, labels, precision), recipe)
            wall += time.perf_counter() - started
            audio += seconds
        print(audio / wall, psutil.Process().memory_info().rss / 1e9, flush=True)


def ask(worker: subprocess.Popen) -> list[float]:
    """What the worker measures in its next turn."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    print("go", file=worker.stdin, flush=True)
    return [float(value) for value in worker.stdout.readline().split()]


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe whose model and batches are taken.")] = RECIPE,
    blocks: Annotated[int, typer.Option(help="How often each of the two trains in turn.", min=1)] = 6,
    steps: Annotated[int, typer.Option(help="Steps each time.", min=1)] = 50,
    few: Annotated[bool | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure training with few lengths of batches against training with all of them."""
    if few is not None:
        work(recipe, few, steps)
        return
    command = [sys.executable, __file__, str(recipe), "--steps", str(steps)]
    environment = {name: value for name, value in os.environ.items() if name != "ONEDNN_PRIMITIVE_CACHE_CAPACITY"}
    workers = [
        subprocess.Popen(
            [*command, flag], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for flag in ("--few", "--no-few")
    ]
    print("steps   few lengths: audio s/s, GB   all lengths: audio s/s, GB   ratio", flush=True)
    for block in range(1, blocks + 1):
        (rate, size), (other, other_size) = (ask(worker) for worker in workers)
        numbers = f"{block * steps:5d}   {rate:22.0f}{size:6.1f}   {other:22.0f}{other_size:6.1f}"
        print(f"{numbers}   {rate / other:.2f}", flush=True)
    for worker in workers:
        worker.communicate()


if __name__ == "__main__":
    settle_threads()
    guarded(lambda: typer.run(main))
