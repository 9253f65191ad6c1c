"""How soon a model answers that was not loaded: from the start of a process to its first transcript.

    python benchmarks/cold_start.py --model MODEL --recording FILE

Each run is a process of its own: `steno transcribe` until it ends, and `steno serve` until it has answered a request
that was sent as soon as it listened. Models take turns. CPU seconds are those of the processes that were waited for;
they say what an idle machine would need where this one is not.
"""

import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import httpx
import typer
from startup import steno_command

from steno.cli.app import guarded
from steno.errors import StenoError
from steno.runtime.folder import read_config

CLAIM = 2.0
"""Seconds to the first answer, at most, of an 8-bit model."""
_PATIENCE = 120.0


def transcribed(model: Path, recording: Path) -> None:
    """One run of the command line.

    Raises:
        StenoError: it failed.
    """
    command = [*steno_command(), "transcribe", str(recording), "--model", str(model)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not done.stdout.strip():
        raise StenoError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")


def served(model: Path, recording: Path) -> None:
    """A server, from its start to its first answer.

    Raises:
        StenoError: it does not start, or does not answer.
    """
    command = [*steno_command(), "serve", "--model", str(model), "--port", "0", "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if " at http://" not in line:
                raise StenoError(f"{' '.join(command)}: the server did not start")
            ask(line.split(" at ")[1].split()[0], model, recording)
        finally:
            process.terminate()


def ask(url: str, model: Path, recording: Path) -> None:
    """Post a recording, as soon as the server takes it.

    Raises:
        StenoError: the server refuses, or does not answer within two minutes.
    """
    stop = time.monotonic() + _PATIENCE
    while True:
        with recording.open("rb") as file:
            try:
                answer = httpx.post(
                    f"{url}/v1/audio/transcriptions",
                    data={"model": read_config(model).name},
                    files={"file": (recording.name, file)},
                    timeout=_PATIENCE,
                )
            except httpx.TransportError as error:
                if time.monotonic() > stop:
                    raise StenoError(f"{url}: no answer ({error})") from error
                time.sleep(0.02)
                continue
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and time.monotonic() < stop:
            time.sleep(0.02)
            continue
        if answer.is_error:
            raise StenoError(f"{url}: {answer.status_code} {answer.text}")
        return


def timed(run: Callable[[Path, Path], None], model: Path, recording: Path) -> tuple[float, float]:
    """Wall seconds of a run, and the CPU seconds of its processes."""
    before, started = cpu_of_children(), time.perf_counter()
    run(model, recording)
    return time.perf_counter() - started, cpu_of_children() - before


def cpu_of_children() -> float:
    """CPU seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(
    model: Annotated[list[Path], typer.Option(help="A model folder; can be repeated.")],
    recording: Annotated[Path, typer.Option(help="A short recording.", exists=True, dir_okay=False)],
    runs: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 7,
) -> None:
    """Measure the time to the first answer."""
    from rich.console import Console
    from rich.table import Table

    ways = {"steno transcribe": transcribed, "steno serve": served}
    found: dict[tuple[str, Path], list[tuple[float, float]]] = {(way, one): [] for way in ways for one in model}
    for number in range(runs + 1):
        for way, one in found:
            seconds = timed(ways[way], one, recording)
            if number:  # the first run fills the disk cache
                found[way, one].append(seconds)
    load = os.getloadavg()[0]
    table = Table(
        *("", "model", "median (s)", "fastest (s)", "slowest (s)", "CPU (s)"),
        title=f"{runs} runs of each, in turns; load {load:.1f} on {os.cpu_count()} cores",
    )
    for (way, one), times in found.items():
        walls = [wall for wall, _ in times]
        figures = (median(walls), min(walls), max(walls), median(cpu for _, cpu in times))
        table.add_row(way, str(one), *(f"{value:.2f}" for value in figures))
    Console().print(table)
    slowest = max(median(wall for wall, _ in times) for times in found.values())
    print(f"slowest median {slowest:.2f} s; at most {CLAIM:g} s: {'yes' if slowest <= CLAIM else 'NO'}")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
