"""How much smaller and faster a recipe's model becomes in 8 bits, side by side with its float graph.

    python benchmarks/eight_bits.py recipes/librispeech-6h.yaml --data dev.jsonl
    python benchmarks/eight_bits.py recipes/librispeech-6h.yaml --data dev.jsonl model.size=512 model.heads=8

The weights are fresh ones: size and time depend on the architecture, not on what was learnt. What 8 bits cost in
words, `steno export` and `steno parity` say of a trained model. The two graphs take the recordings in turns, one at a
time; who goes first alternates, and of some rounds the median counts.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import onnx
import torch
import typer
from rich.console import Console
from rich.table import Table

from steno import audio
from steno.cli.app import guarded
from steno.data.manifest import Manifest
from steno.export.quantize import quantized
from steno.export.sample import chosen
from steno.models.export import export_onnx
from steno.models.registry import AcousticModel
from steno.runtime.graph import Graph
from steno.training.recipe import load_recipe
from steno.training.settle import with_symbols


def main(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Settings of it, KEY=VALUE.")] = None,
    data: Annotated[Path, typer.Option(help="A manifest of recordings.")] = Path("data/librispeech/dev.jsonl"),
    utterances: Annotated[int, typer.Option(min=1, help="How many, evenly spread over the manifest.")] = 40,
    threads: Annotated[int, typer.Option(min=1, help="Of each graph.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Times through the recordings; the median counts.")] = 5,
) -> None:
    """Compare a model's float graph with its 8-bit one."""
    settled = load_recipe(recipe, changes or [])
    torch.manual_seed(settled.seed)
    sample = chosen(Manifest(data), utterances)
    phonemes = with_symbols(settled.phonemes, [one.text or "" for one in sample]) if settled.phonemes else None
    model = AcousticModel(settled.features, settled.model, len(settled.tokenizer.build()), phonemes).eval()
    rate = settled.features.sample_rate
    recordings = [audio.load(one.audio, rate) for one in sample]
    spoken = sum(map(len, recordings)) / rate
    with tempfile.TemporaryDirectory(prefix="steno-eight-bits-") as scratch:
        paths = {"float": Path(scratch, "float.onnx"), "8 bits": Path(scratch, "small.onnx")}
        export_onnx(model, paths["float"])
        onnx.save(quantized(onnx.load(paths["float"])), paths["8 bits"])
        sizes = {name: path.stat().st_size for name, path in paths.items()}
        graphs = {name: Graph(path, threads) for name, path in paths.items()}
        taken: dict[str, list[float]] = {name: [] for name in graphs}
        for number in range(rounds + 1):  # the first one does not count
            for name in sorted(graphs, reverse=bool(number % 2)):
                started = time.perf_counter()
                for samples_n in recordings:
                    graphs[name].emissions([samples_n])
                taken[name].append((time.perf_counter() - started) / spoken)
    factors = {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    table = Table("graph", "size (MB)", "real-time factor", "range", title=f"{settled.name}, {parameters:,} parameters")
    for name in graphs:
        spread = f"{min(taken[name][1:]):.5f} to {max(taken[name][1:]):.5f}"
        table.add_row(name, f"{sizes[name] / 1e6:.1f}", f"{factors[name]:.5f}", spread)
    Console(width=100).print(table)
    smaller, faster = (found["float"] / found["8 bits"] for found in (sizes, factors))
    print(
        f"in 8 bits {smaller:.1f} times smaller and {faster:.2f} times as fast; "
        f"{len(recordings)} recordings, {spoken:.0f} s, {threads} thread(s)"
    )


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
