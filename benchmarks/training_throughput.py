"""How much audio an hour Steno trains on, beside a plain textbook loop on the same audio and the same cores.

    python benchmarks/training_throughput.py
    python benchmarks/training_throughput.py --train train.jsonl --dev dev.jsonl --recipe recipes/librispeech-2000.yaml

Both pass over the same utterances equally often. They take turns pass by pass, and who goes first alternates, so
that a machine that drifts is fair to both. A pass's time is that of training alone: loading, features, steps; not
validation, nor the corpus statistics that Steno takes before its first step, which have a line of their own.
"""

import json
import os
import platform
import random
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from steno.cli.app import guarded, settle_threads
from steno.errors import ManifestError, StenoError

if TYPE_CHECKING:
    from textbook import TextbookLoop

    from steno.data.manifest import Utterance
    from steno.evaluation.bootstrap import Interval
    from steno.evaluation.score import Scores
    from steno.training.recipe import Recipe

HOME = Path(__file__).resolve().parent
CORPUS_SEED = 1
CLAIM = 5.0
"""Steno is to be so many times as fast."""


@dataclass
class Side:
    """One of the two loops: seconds of each pass, seconds before the first step, size, dev scores at the end."""

    passes: list[float] = field(default_factory=list)
    before: float = 0.0
    parameters: int = 0
    scores: "Scores | None" = None

    @property
    def scored(self) -> "Scores":
        """Its dev scores.

        Raises:
            StenoError: it was not trained to the end.
        """
        if self.scores is None:
            raise StenoError("a loop was not scored: it was not trained to the end")
        return self.scores

    def speed(self, hours: float) -> float:
        """Hours of audio an hour in the median pass, when each pass has so many hours."""
        return hours * 3600 / median(self.passes)


@dataclass
class Comparison:
    """One run of both loops over ``hours`` of audio a pass."""

    hours: float
    seed: int
    textbook: Side = field(default_factory=Side)
    steno: Side = field(default_factory=Side)

    @property
    def ratio(self) -> float:
        """Steno's speed over the textbook's: the median of the passes, which one that was disturbed does not move."""
        return median(self.ratios)

    @property
    def ratio_with_start(self) -> float:
        """The same of all passes together, with what each loop does before its first step."""
        return (sum(self.textbook.passes) + self.textbook.before) / (sum(self.steno.passes) + self.steno.before)

    @property
    def ratios(self) -> list[float]:
        """The same of each pass, the two sides' turns being next to each other."""
        return [slow / fast for slow, fast in zip(self.textbook.passes, self.steno.passes, strict=True)]


class Turns:
    """The display of Steno's trainer, which is told when a pass begins and ends: there the textbook has its turn.

    At both moments Steno's worker processes are idle, so neither loop runs while the other one is timed.

    Args:
        comparison: takes the figures.
        textbook: the other loop.
        show: called with a line of progress.
    """

    def __init__(self, comparison: Comparison, textbook: "TextbookLoop", show: Callable[[str], None]) -> None:
        self._comparison, self._textbook, self._show = comparison, textbook, show
        self._started = time.perf_counter()

    def message(self, text: str) -> None:
        """Pass on what the trainer says."""
        self._show(text)

    def epoch(self, number: int, epochs: int, batches: int, done: int) -> None:
        """A pass of Steno is about to start; in every second one the textbook goes first."""
        if number == 1:
            self._comparison.steno.before = time.perf_counter() - self._started
        if number % 2 == 0:
            self._other(number)

    def step(self, loss: float, audio_seconds: float, progress: float) -> None:
        """Nothing: a batch's figures are not needed."""

    def summary(self, number: int, row: dict[str, float], examples: list[tuple[str, str]]) -> None:
        """A pass of Steno has ended, and was validated."""
        from steno.evaluation.score import score

        side = self._comparison.steno
        side.passes.append(row["epoch_seconds"])
        side.scores = score((str(n), target, predicted) for n, (target, predicted) in enumerate(examples))
        self._say("steno", number, side, row["train_loss"])
        if number % 2 == 1:
            self._other(number)

    def close(self) -> None:
        """The run has ended."""

    def _other(self, number: int) -> None:
        # The trainer takes Ctrl-C as a wish to stop after its next step, which is a whole turn away from here.
        asked = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            started = time.perf_counter()
            loss = self._textbook.train_epoch()
            self._comparison.textbook.passes.append(time.perf_counter() - started)
        finally:
            signal.signal(signal.SIGINT, asked)
        self._say("textbook", number, self._comparison.textbook, loss)

    def _say(self, name: str, number: int, side: Side, loss: float) -> None:
        speed = self._comparison.hours * 3600 / side.passes[-1]
        self._show(f"{name:8}  pass {number}: {side.passes[-1]:6.1f} s, {speed:5.1f} h an hour, loss {loss:.3f}")


# ---- the audio -------------------------------------------------------------------------------------------------


def embedded_corpus(folder: Path, hours: float) -> tuple[Path, Path, Path]:
    """Make Steno's synthetic corpus and the manifests of its parts for training, dev and test."""
    from steno.data.corpora.prepare import prepare
    from steno.data.manifest import write_manifest
    from steno.data.synth import synthesise

    corpus = synthesise(folder, CORPUS_SEED, hours)
    parts = {part.folder.name: prepare(part.folder).utterances for part in corpus.parts}
    train, dev, test = (folder / f"{name}.jsonl" for name in ("train", "dev", "test"))
    for path in (train, dev, test):
        write_manifest(path, parts[f"{path.stem}-synth"])
    return train, dev, test


def usable(path: Path, longest: float) -> "list[Utterance]":
    """The manifest's utterances that have text and last at most so many seconds: what both loops can take.

    Raises:
        ManifestError: there is none.
    """
    from steno.data.manifest import Manifest
    from steno.text import words

    found = [u for u in Manifest(path) if words(u.text or "") and u.duration <= longest]
    if not found:
        raise ManifestError(f"{path}: no utterance has text and lasts at most {longest:g} s")
    return found


def draw(utterances: "Sequence[Utterance]", hours: float, seed: int) -> "list[Utterance]":
    """Random utterances of about so many hours together, or all if they are fewer."""
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(utterances))
    ends = np.cumsum([utterances[i].duration for i in order]) / 3600
    count = max(1, int(np.searchsorted(ends, hours, side="right")))
    return [utterances[i] for i in order[:count]]


def total_hours(utterances: "Sequence[Utterance]") -> float:
    """Hours of audio, as the manifest states them."""
    return sum(u.duration for u in utterances) / 3600


# ---- one comparison --------------------------------------------------------------------------------------------


def compare(
    recipe: "Recipe",
    train: "Sequence[Utterance]",
    dev: "Sequence[Utterance]",
    folder: Path,
    show: Callable[[str], None],
) -> Comparison:
    """Train both loops on the same audio, in turns, and score both on the same dev set.

    Args:
        recipe: Steno's, with its manifests and its epochs set; its seed is that of both loops.
        train: the utterances of its training manifest.
        dev: those of its dev manifest.
        folder: where Steno's run goes.
        show: called with lines of progress.
    """
    from textbook import TextbookLoop

    from steno.models.registry import AcousticModel
    from steno.training.run import train as train_steno

    result = Comparison(total_hours(train), recipe.seed)
    started = time.perf_counter()
    textbook = TextbookLoop(train, recipe.tokenizer.build(), recipe.training.epochs, recipe.seed)
    result.textbook.before = time.perf_counter() - started
    result.textbook.parameters = textbook.parameters
    model = AcousticModel(recipe.features, recipe.model, len(recipe.tokenizer.build()))
    result.steno.parameters = sum(p.numel() for p in model.parameters())
    train_steno(recipe, folder, display=Turns(result, textbook, show), tracked=False)
    show(f"scoring the textbook's model on {len(dev)} utterances")
    result.textbook.scores = textbook.score(dev)
    return result


def settings(recipe: Path, overrides: Sequence[str], passes: int, seed: int, manifests: tuple[Path, Path]) -> "Recipe":
    """The recipe as both loops need it: these manifests, these passes, no early stop, on the CPU."""
    from steno.training.recipe import load_recipe

    train, dev = manifests
    return load_recipe(
        recipe,
        [
            *overrides,
            f"data.train={json.dumps(str(train))}",
            f"data.dev={json.dumps(str(dev))}",
            "data.test=null",
            "data.limit=null",
            f"training.epochs={passes}",
            "training.patience=null",
            "training.device=cpu",
            # Every pair of target and prediction: the dev scores are taken from them.
            "training.examples=1000000",
            f"seed={seed}",
        ],
    )


# ---- the table -------------------------------------------------------------------------------------------------


def machine(threads: int) -> str:
    """Processor, cores in use, and the version of torch."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores, usable_cores = os.cpu_count(), len(os.sched_getaffinity(0))
    return (
        f"{names[0] if names else platform.machine()}, {usable_cores} of {cores} cores used, {threads} threads, "
        f"torch {torch.__version__}, load before the start {os.getloadavg()[0]:.1f}"
    )


def print_table(runs: Sequence[Comparison]) -> None:
    """Both loops side by side, one block of rows a run, and what follows from them."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", "textbook", "Steno", title="the same audio, in turns")
    for number, run in enumerate(runs, start=1):
        sides = (run.textbook, run.steno)
        if len(runs) > 1:
            table.add_row(f"run {number}, seed {run.seed}", "", "")
        for label, show in _ROWS.items():
            table.add_row(label, *(show(run, side) for side in sides))
        table.add_section()
    console = Console()
    console.print(table)
    for number, run in enumerate(runs, start=1):
        name = f"run {number}: " if len(runs) > 1 else ""
        low, high = min(run.ratios), max(run.ratios)
        print(
            f"{name}Steno is {run.ratio:.1f} times as fast (median of the passes, which are {low:.1f} to {high:.1f}); "
            f"{run.ratio_with_start:.1f} times over all, with what comes before the first step"
        )
        print(f"{name}{_verdict(run)}")


def _rate(value: float, interval: "Interval") -> str:
    return f"{100 * value:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


_ROWS: dict[str, Callable[[Comparison, Side], str]] = {
    "audio hours an hour": lambda run, side: f"{side.speed(run.hours):.1f}",
    "audio (hours)": lambda run, side: f"{run.hours * len(side.passes):.2f}",
    "training (s)": lambda run, side: f"{sum(side.passes):.1f}",
    "before step 1 (s)": lambda run, side: f"{side.before:.1f}",
    "parameters": lambda run, side: f"{side.parameters:,}",
    "dev WER [95 %]": lambda run, side: _rate(side.scored.wer, side.scored.wer_interval()),
    "dev CER [95 %]": lambda run, side: _rate(side.scored.cer, side.scored.cer_interval()),
}


def _verdict(run: Comparison) -> str:
    slow, fast = run.textbook.scored, run.steno.scored
    claims = {
        f"at least {CLAIM:g} times as fast": run.ratio >= CLAIM,
        "dev WER no worse": fast.wer <= slow.wer,
        "dev CER no worse": fast.cer <= slow.cer,
    }
    return "; ".join(f"{claim}: {'yes' if holds else 'NO'}" for claim, holds in claims.items())


# ---- the command -----------------------------------------------------------------------------------------------


def main(
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the recipe: data.batch_size=16")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Training manifest; the embedded corpus by default.")] = None,
    dev: Annotated[Path | None, typer.Option(help="Dev manifest, which goes with --train.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Steno's; recipes/librispeech-2000.yaml, or embedded.yaml without --train.")
    ] = None,
    hours: Annotated[float, typer.Option(help="Audio that each loop trains on, over all passes.", min=0.001)] = 1.5,
    passes: Annotated[int, typer.Option(help="Passes over a part of the manifest, HOURS / PASSES long.", min=1)] = 3,
    dev_utterances: Annotated[int, typer.Option(help="Utterances that both are scored on.", min=1)] = 200,
    repeats: Annotated[int, typer.Option(help="Whole comparisons, each with another seed.", min=1)] = 1,
    threads: Annotated[int, typer.Option(help="Cores, and threads of torch, for each loop.", min=1)] = 2,
) -> None:
    """Train Steno's loop and a plain textbook loop on the same audio, and compare speed and error rates."""
    if (train is None) != (dev is None):
        raise StenoError("--train and --dev go together", "Give both manifests, or none for the embedded corpus.")
    recipe = recipe or (HOME / "embedded.yaml" if train is None else HOME.parent / "recipes" / "librispeech-2000.yaml")
    cores = sorted(os.sched_getaffinity(0))[:threads]
    # Steno's worker process gets no core that the textbook does not have.
    os.sched_setaffinity(0, cores)
    import torch

    from steno.data.manifest import Manifest, write_manifest
    from steno.training.interrupt import Interrupted

    torch.set_num_threads(threads)
    print(machine(threads))
    with tempfile.TemporaryDirectory(prefix="steno-benchmark-") as name:
        folder = Path(name)
        if train is None or dev is None:
            print("making the embedded corpus")
            train, *others = embedded_corpus(folder / "corpus", max(1.0, hours / passes))
            dev = folder / "dev-and-test.jsonl"
            write_manifest(dev, [one for path in others for one in Manifest(path)])
        bounds = settings(recipe, overrides or [], passes, 1, (train, dev)).data
        longest = min(bounds.max_seconds, bounds.batch_seconds)
        chosen = draw(usable(train, longest), hours / passes, CORPUS_SEED)
        scored = random.Random(CORPUS_SEED).sample(pool := usable(dev, longest), min(dev_utterances, len(pool)))
        manifests = folder / "train.jsonl", folder / "dev.jsonl"
        write_manifest(manifests[0], chosen)
        write_manifest(manifests[1], scored)
        print(f"{recipe.name}: {passes} passes over {len(chosen)} utterances, {total_hours(chosen):.3f} h")
        try:
            runs = [
                compare(
                    settings(recipe, overrides or [], passes, seed, manifests),
                    chosen,
                    scored,
                    folder / f"run-{seed}",
                    show,
                )
                for seed in range(1, repeats + 1)
            ]
        except Interrupted:
            raise KeyboardInterrupt from None
    print_table(runs)


def show(line: str) -> None:
    """Print a line of progress at once."""
    print(line, flush=True)


if __name__ == "__main__":
    settle_threads()
    guarded(lambda: typer.run(main))
