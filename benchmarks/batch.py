"""`steno batch` with one actor and with two: throughput, texts beside `steno transcribe`, and what a kill costs.

    STENO_LIBRISPEECH=/data/LibriSpeech python benchmarks/batch.py --model runs/demo/model
    python benchmarks/batch.py --corpus /data/LibriSpeech --model runs/demo/model --limit 60 --part-seconds 30

Every run is the command itself, in a process of its own, over a manifest of the whole corpus. Times come from its
parts: from the first one that was written to the last one, so that the start does not count, and the whole time
beside it. `--address local` runs the same on Ray. `--disturb` then starts it once more, kills an actor after a
quarter of the parts and the driver (`kill -9`) after half of them, starts the same command again, and looks whether
every utterance is there exactly once. The machine should do nothing else.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from steno.cli.app import guarded
from steno.errors import StenoError

CLAIM = 1.7
"""Two actors are to be so many times as fast as one."""

_COMMAND = (
    "import sys; from steno.batch import source; from steno.cli import main; "
    "source.PART_SECONDS = float(sys.argv.pop(1)); main()"
)


@dataclass(frozen=True)
class Run:
    """One run of the command: when each part was written, and the whole time, in seconds; texts by id; bytes."""

    actors: int
    parts: list[float]
    seconds: float
    texts: dict[str, str]
    size: int

    def rate(self, total: float) -> float:
        """Parts a second between the first and the last, times the audio of a part: seconds of audio a second."""
        spent = self.parts[-1] - self.parts[0]
        return total * (len(self.parts) - 1) / len(self.parts) / spent


def manifest_of(corpus: Path, limit: int | None, scratch: Path) -> Path:
    """A manifest of the corpus, or of so many utterances from all over it."""
    from steno.data.corpora.prepare import prepare
    from steno.data.manifest import write_manifest

    rows = prepare(corpus, format="librispeech").utterances
    if limit:
        rows = rows[:: max(1, len(rows) // limit)][:limit]
    write_manifest(scratch / "all.jsonl", rows)
    return scratch / "all.jsonl"


@dataclass(frozen=True)
class Setting:
    """What all runs have in common; ``address`` is that of a Ray cluster, None means processes of this machine."""

    manifest: Path
    model: Path
    scratch: Path
    part_seconds: float
    address: str | None

    def command(self, out: Path, actors: int) -> list[str]:
        """The command line of one run."""
        return [
            *(sys.executable, "-c", _COMMAND, str(self.part_seconds)),
            *("batch", str(self.manifest), "--model", str(self.model), "--to", str(out), "--actors", str(actors)),
            *(() if self.address is None else ("--address", self.address)),
        ]


def written(out: Path) -> list[Path]:
    """The parts of a table that are there."""
    return list(out.with_name(f"{out.name}.parts").glob("part-*"))


def timed(setting: Setting, actors: int) -> Run:
    """Run the command and watch its parts.

    Raises:
        StenoError: it failed.
    """
    out = setting.scratch / f"actors-{actors}-{time.time_ns()}.jsonl"
    started = time.perf_counter()
    seen: dict[str, float] = {}
    with subprocess.Popen(setting.command(out, actors)) as process:
        while process.poll() is None:
            for path in written(out):
                seen.setdefault(path.name, time.perf_counter())
            time.sleep(0.05)
    if process.returncode:
        raise StenoError(f"steno batch ended with {process.returncode}")
    texts = {row["id"]: row["text"] for row in map(json.loads, out.read_text(encoding="utf-8").splitlines())}
    return Run(actors, sorted(seen.values()), time.perf_counter() - started, texts, out.stat().st_size)


def transcribed(manifest: Path, model: Path) -> dict[str, str]:
    """The texts that `steno transcribe` gives, by id."""
    from steno.data.manifest import Manifest

    rows = {str(row.audio): row.id for row in Manifest(manifest)}
    done = subprocess.run(
        [sys.executable, "-m", "steno", "transcribe", *rows, "--model", str(model), "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {rows[row["file"]]: row["text"] for row in json.loads(done.stdout)}


def alone(manifest: Path, model: Path) -> float:
    """Seconds of audio that one thread transcribes in a second of CPU time, whatever else runs on the machine."""
    from steno.data.manifest import Manifest
    from steno.runtime import Recognizer
    from steno.runtime.files import transcribe_files

    recognizer = Recognizer(model, threads=1)
    rows = list(Manifest(manifest))
    started = time.process_time()
    seconds = sum(result.seconds for result in transcribe_files(recognizer, [row.audio for row in rows]))
    return seconds / (time.process_time() - started)


def disturbed(setting: Setting, parts: int) -> list[str]:
    """Ids of the table of a run whose actor and whose driver were killed, and which was then started again.

    Raises:
        StenoError: a kill came too late, or the second run failed.
    """
    import psutil

    out = setting.scratch / "disturbed.jsonl"
    line = setting.command(out, 2)
    worker = "spawn_main" if setting.address is None else "ray::MapWorker"
    with subprocess.Popen(line) as driver:
        _wait(driver, out, parts // 4)
        actors = [
            process
            for process in psutil.Process(driver.pid).children(recursive=True)
            if worker in " ".join([process.name(), *process.cmdline()])
        ]
        if not actors:
            raise StenoError("there is no actor to kill: the run is too short for it")
        typer.echo(f"{len(written(out))} of {parts} parts: actor {actors[0].pid} killed")
        os.kill(actors[0].pid, signal.SIGKILL)
        _wait(driver, out, parts // 2)
        typer.echo(f"{len(written(out))} of {parts} parts: driver {driver.pid} killed")
        os.kill(driver.pid, signal.SIGKILL)
    before = {path.name: path.stat().st_mtime_ns for path in written(out)}
    if not before or len(before) >= parts:
        raise StenoError("the driver was killed too late: the run is too short for it")
    again = subprocess.Popen(line)
    with again:
        while again.poll() is None:
            changed = [path.name for path in written(out) if before.get(path.name, 0) not in (0, _mtime(path))]
            if changed:
                raise StenoError(f"done twice: {changed}")
            time.sleep(0.05)
    if again.returncode:
        raise StenoError(f"steno batch ended with {again.returncode}")
    return [json.loads(row)["id"] for row in out.read_text(encoding="utf-8").splitlines()]


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _wait(process: "subprocess.Popen[bytes]", out: Path, parts: int) -> None:
    while len(written(out)) < parts and process.poll() is None:
        time.sleep(0.05)


def main(
    model: Annotated[Path, typer.Option(help="A model folder.")],
    corpus: Annotated[Path, typer.Option(envvar="STENO_LIBRISPEECH", help="A corpus in LibriSpeech's layout.")],
    limit: Annotated[int | None, typer.Option(min=4, help="So many utterances only.")] = None,
    part_seconds: Annotated[float, typer.Option(min=1, help="Audio of a part, in seconds.")] = 600.0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs with each number of actors, in turns.")] = 1,
    disturb: Annotated[bool, typer.Option(help="Then kill an actor and the driver.")] = True,
    address: Annotated[str | None, typer.Option(help="As that of steno batch; local is Ray on this machine.")] = None,
) -> None:
    """Print rates, their ratio, and whether texts and rows are as they should be."""
    from statistics import median

    from rich.console import Console
    from rich.table import Table

    from steno.data.manifest import Manifest

    with tempfile.TemporaryDirectory(prefix="steno-batch-") as name:
        scratch = Path(name)
        path = manifest_of(corpus, limit, scratch)
        manifest = Manifest(path)
        total = manifest.hours * 3600
        setting = Setting(path, model, scratch, part_seconds, address)
        runs = [timed(setting, actors) for _ in range(repeats) for actors in (1, 2)]
        table = Table("actors", "parts", "audio seconds a second", "whole run")
        for run in runs:
            table.add_row(str(run.actors), str(len(run.parts)), f"{run.rate(total):.1f}", f"{run.seconds:.1f} s")
        Console().print(table)
        rates = {actors: median(run.rate(total) for run in runs if run.actors == actors) for actors in (1, 2)}
        whole = {actors: median(run.seconds for run in runs if run.actors == actors) for actors in (1, 2)}
        typer.echo(
            f"{len(manifest)} utterances, {manifest.hours:.2f} h; two actors are {rates[2] / rates[1]:.2f} times as "
            f"fast as one ({whole[1] / whole[2]:.2f} with the start); the claim is {CLAIM}"
        )
        typer.echo(
            f"one thread: {alone(path, model):.1f} seconds of audio a second of CPU time, with reading and decoding "
            f"of the files; the table has {runs[0].size / manifest.hours / 1e6:.2f} MB an hour as JSON Lines"
        )
        expected = transcribed(path, model)
        differing = {key for run in runs for key in expected if run.texts.get(key) != expected[key]}
        typer.echo(f"texts that differ from those of steno transcribe: {len(differing)} of {len(expected)}")
        for key in sorted(differing)[:5]:
            typer.echo(f"  {key}\n    {expected[key]}\n    {runs[0].texts.get(key)}")
        if disturb:
            found = Counter(disturbed(setting, len(runs[0].parts)))
            twice = [key for key, count in found.items() if count > 1]
            missing = expected.keys() - found.keys()
            typer.echo(f"after two kills: {len(found)} utterances, {len(twice)} twice, {len(missing)} missing")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
