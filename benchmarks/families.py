"""The families of models on the same data and the same number of passes; the best of them with more seeds.

    python benchmarks/families.py --to families
    python benchmarks/families.py --to families --train train.jsonl --dev dev.jsonl --test test.jsonl --epochs 30

Each recipe is trained by `steno train` as it is, but for the data and the passes, and what else is named as
`KEY=VALUE`, for all of them. Without manifests the corpus is `steno data synth`'s. Then the recipes with the lowest
WER are trained with further seeds. Costs are seconds of CPU time of the training command, so that other work on the
machine changes them little; the real-time factor is that of whole files, greedy, one thread. What was trained is kept
in `--to`, with `families.json` and a picture, and the same command goes on with what is missing. Two runs can be
compared further:

    steno compare families/quartznet-1/model families/conformer-1/model --data test.jsonl
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer

from steno.cli.app import guarded
from steno.errors import StenoError

HOME = Path(__file__).resolve().parent.parent
RECIPES = [
    HOME / "recipes" / f"{name}.yaml"
    for name in (
        "librispeech-2000",
        "librispeech-stream",
        "librispeech-6h",
        "librispeech-6h-quartznet",
        "librispeech-6h-jasper",
    )
]
CORPUS_HOURS = 1.4
_DONE = "measured.json"


@dataclass(frozen=True)
class Result:
    """One recipe, trained with one seed and measured: rates and their 95 % intervals, seconds, and what it is."""

    recipe: str
    family: str
    streams: bool
    seed: int
    parameters: int
    hours: float
    cpu_seconds: float
    wall_seconds: float
    wer: float
    wer_low: float
    wer_high: float
    cer: float
    real_time_factor: float


def trained(recipe: Path, settings: Sequence[str], seed: int, folder: Path) -> tuple[float, float]:
    """Train as the command does; seconds of CPU time, and of a clock.

    Raises:
        StenoError: the command failed.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "steno", "train", str(recipe), *settings, f"seed={seed}"]
    done = subprocess.run([*command, "--to", str(folder), "--overwrite", "--no-track"], stdout=sys.stderr, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise StenoError(f"{recipe.name} with seed {seed} was not trained: exit code {done.returncode}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - started


def measured(recipe: Path, settings: Sequence[str], seed: int, folder: Path, test: Path, hours: float) -> Result:
    """Train, unless that was done before, and measure on the test's utterances."""
    from safetensors.numpy import load_file

    from steno.data.manifest import Manifest
    from steno.evaluation.measure import evaluate
    from steno.models.config import streaming
    from steno.runtime import DecodingOptions, Recognizer
    from steno.runtime.folder import WEIGHTS

    note, asked = folder / _DONE, {"settings": [*settings], "test": str(test)}
    if note.is_file():
        kept = json.loads(note.read_text(encoding="utf-8"))
        if kept.pop("asked") != asked:
            raise StenoError(f"{folder}: was trained with other settings", "Name another folder: --to.")
        return Result(**kept)
    cpu, wall = trained(recipe, settings, seed, folder)
    model = folder / "model"
    recognizer = Recognizer(model, threads=1, decoding=DecodingOptions(method="greedy"))
    evaluation = evaluate(recognizer, Manifest(test)).checked()
    interval = evaluation.scores.wer_interval()
    result = Result(
        recipe.stem,
        recognizer.config.model.architecture,
        streaming(recognizer.config.model) is not None,
        seed,
        sum(weight.size for weight in load_file(model / WEIGHTS).values()),
        hours,
        cpu,
        wall,
        evaluation.scores.wer,
        interval.low,
        interval.high,
        evaluation.scores.cer,
        evaluation.real_time_factor,
    )
    note.write_text(json.dumps(asdict(result) | {"asked": asked}), encoding="utf-8")
    return result


def best(results: Sequence[Result], count: int) -> list[str]:
    """The recipes with the lowest WER."""
    return [one.recipe for one in sorted(results, key=lambda one: one.wer)][:count]


def table(results: Sequence[Result]) -> str:
    """The results in Markdown, a recipe a line, with the mean and each seed's interval where it has several."""
    lines = [
        "| recipe | family | parameters | streams | WER (95 %) | CER | CPU time of training | real-time factor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[Result]] = {}
    for one in results:
        groups.setdefault(one.recipe, []).append(one)
    for rows in sorted(groups.values(), key=lambda rows: mean(one.wer for one in rows)):
        first = rows[0]
        rates = ", ".join(f"{one.wer:.1%} ({100 * one.wer_low:.1f}–{100 * one.wer_high:.1f})" for one in rows)
        if len(rows) > 1:
            rates = f"{mean(one.wer for one in rows):.1%}: {rates}"
        cells = [
            first.recipe,
            f"`{first.family}`",
            f"{first.parameters / 1e6:.1f} M",
            "yes" if first.streams else "no",
            rates,
            f"{mean(one.cer for one in rows):.1%}",
            f"{mean(one.cpu_seconds for one in rows) / 60:.1f} min",
            f"{mean(one.real_time_factor for one in rows):.4f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(results: Sequence[Result], path: Path) -> None:
    """WER over the CPU time of training, as SVG; a point a run, its interval upright."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for family in dict.fromkeys(one.family for one in results):
        rows = [one for one in results if one.family == family]
        rates = [100 * one.wer for one in rows]
        below = [100 * (one.wer - one.wer_low) for one in rows]
        above = [100 * (one.wer_high - one.wer) for one in rows]
        minutes = [one.cpu_seconds / 60 for one in rows]
        axes.errorbar(minutes, rates, yerr=(below, above), fmt="o", capsize=3, label=family)
    axes.set(xlabel="CPU time of training (min)", ylabel="test WER, greedy (%)", ylim=(0, None), xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main(
    to: Annotated[Path, typer.Option(help="Where the corpus, the runs and the results are kept.")],
    given: Annotated[list[str] | None, typer.Argument(help="Recipes, and KEY=VALUE for all of them.")] = None,
    train: Annotated[Path | None, typer.Option(help="A manifest; the embedded corpus by default.")] = None,
    dev: Annotated[Path | None, typer.Option(help="Speakers that are neither in train nor in test.")] = None,
    test: Annotated[Path | None, typer.Option(help="What is measured.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training data.")] = 8,
    seeds: Annotated[int, typer.Option(min=1, help="Of each of the best.")] = 3,
    winners: Annotated[int, typer.Option(min=1, help="How many recipes are the best.")] = 2,
) -> None:
    """Compare families of models on the same data."""
    from training_throughput import embedded_corpus

    from steno.data.manifest import Manifest

    if any(path is None for path in (train, dev, test)) and any((train, dev, test)):
        raise StenoError("--train, --dev and --test belong together", "Name all three, or none.")
    to.mkdir(parents=True, exist_ok=True)
    if train is None or dev is None or test is None:
        train, dev, test = embedded_corpus(to / "corpus", CORPUS_HOURS)
    recipes = [Path(one) for one in given or () if "=" not in one] or RECIPES
    settings = [f"data.train={train}", f"data.dev={dev}", "data.test=null", "data.limit=null", "data.passes=1"]
    settings += [f"training.epochs={epochs}"]
    settings += [one for one in given or () if "=" in one]
    hours = epochs * Manifest(train).hours
    results: list[Result] = []

    def run(recipe: Path, seed: int) -> None:
        results.append(measured(recipe, settings, seed, to / f"{recipe.stem}-{seed}", test, hours))
        typer.echo(f"{recipe.stem}, seed {seed}: WER {results[-1].wer:.1%}", err=True)

    for recipe in recipes:
        run(recipe, 1)
    again = best(results, winners)
    for recipe in (one for one in recipes if one.stem in again):
        for seed in range(2, seeds + 1):
            run(recipe, seed)
    (to / "families.json").write_text(json.dumps([asdict(one) for one in results], indent=2), encoding="utf-8")
    picture(results, to / "families.svg")
    typer.echo(table(results))
    typer.echo(f"\n{hours:.2f} h of audio each; {to / 'families.json'}, {to / 'families.svg'}")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
