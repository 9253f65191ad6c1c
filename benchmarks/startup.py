"""How fast ``steno --help`` answers, beside ``python -c "import torch"``: in turns, each in a process of its own.

python benchmarks/startup.py
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from steno.cli.app import guarded
from steno.errors import MissingExtraError, StenoError

CLAIM = 5.0
"""``steno --help`` is to be so many times as fast."""


def steno_command() -> list[str]:
    """The installed ``steno`` of this interpreter, or the package where there is no such script."""
    script = Path(sys.executable).with_name("steno")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "steno"]


def seconds(command: Sequence[str]) -> float:
    """Wall time of a command.

    Raises:
        StenoError: it failed.
    """
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    elapsed = time.perf_counter() - started
    if "No module named 'torch'" in done.stderr:
        raise MissingExtraError("torch", "train")
    if done.returncode:
        raise StenoError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return elapsed


def in_turns(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Seconds of each command's runs, after one of each that is not counted: it fills the disk cache."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        # Who goes first alternates, so that a machine that drifts is fair to both.
        for name in sorted(commands, reverse=run % 2 == 1):
            elapsed = seconds(commands[name])
            if run:
                times[name].append(elapsed)
    return times


def main(runs: Annotated[int, typer.Option(help="Runs of each command.", min=1)] = 15) -> None:
    """Measure `steno --help` and `import torch` side by side."""
    from rich.console import Console
    from rich.table import Table

    steno, torch = "steno --help", 'python -c "import torch"'
    commands = {steno: [*steno_command(), "--help"], torch: [sys.executable, "-c", "import torch"]}
    times = in_turns(commands, runs)
    table = Table("command", "median (s)", "fastest (s)", "slowest (s)", title=f"{runs} runs of each, in turns")
    for name, found in times.items():
        table.add_row(name, *(f"{value:.3f}" for value in (median(found), min(found), max(found))))
    Console().print(table)
    ratio = median(times[torch]) / median(times[steno])
    print(f"{steno} is {ratio:.1f} times as fast; at least {CLAIM:g} times: {'yes' if ratio >= CLAIM else 'NO'}")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
