"""What a training run prints: a progress bar on a terminal, lines elsewhere."""

import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

LINE_EVERY_SECONDS = 30.0


class Display(Protocol):
    """Shows how a run gets on. WER and CER are rates, 0.25 for 25 %."""

    def message(self, text: str) -> None:
        """Say something once."""

    def epoch(self, number: int, epochs: int, batches: int, done: int) -> None:
        """An epoch starts (``number`` from 1), ``done`` of its batches already being behind."""

    def step(self, loss: float, audio_seconds: float, progress: float) -> None:
        """A batch is done: its loss, its seconds of audio, and the share of the whole run that is behind."""

    def summary(self, number: int, row: dict[str, float], examples: list[tuple[str, str]]) -> None:
        """An epoch has ended: its figures, and pairs of target and prediction."""

    def close(self) -> None:
        """The run has ended."""


class SilentDisplay:
    """Shows nothing: for all processes but the first."""

    def message(self, text: str) -> None: ...

    def epoch(self, number: int, epochs: int, batches: int, done: int) -> None: ...

    def step(self, loss: float, audio_seconds: float, progress: float) -> None: ...

    def summary(self, number: int, row: dict[str, float], examples: list[tuple[str, str]]) -> None: ...

    def close(self) -> None: ...


class ConsoleDisplay:
    """A rich progress bar with loss, WER, hours of audio a second and time to go."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=False, highlight=False, markup=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._loss: float | None = None
        self._wer: float | None = None
        self._audio = 0.0
        self._started = self._last_line = time.monotonic()
        self._first_progress: float | None = None
        self._title = ""
        self._header_shown = False

    def message(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def epoch(self, number: int, epochs: int, batches: int, done: int) -> None:
        self._title = f"epoch {number}/{epochs}"
        if not self._console.is_terminal:
            return
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                console=self._console,
            )
            self._progress.start()
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(self._title, total=batches, completed=done, figures="")

    def step(self, loss: float, audio_seconds: float, progress: float) -> None:
        self._loss = loss if self._loss is None else 0.9 * self._loss + 0.1 * loss
        if self._first_progress is None:
            self._first_progress, self._started = progress, time.monotonic()
        else:
            self._audio += audio_seconds
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=1, figures=self._figures(progress))
        elif time.monotonic() - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self.message(f"{self._title}: {self._figures(progress)}")

    def summary(self, number: int, row: dict[str, float], examples: list[tuple[str, str]]) -> None:
        self._wer = row["dev_wer"]
        self._last_line = time.monotonic()
        self.message(
            f"epoch {number:3d}   train loss {row['train_loss']:.3f}   dev loss {row['dev_loss']:.3f}   "
            f"dev WER {row['dev_wer']:6.1%}   dev CER {row['dev_cer']:6.1%}   "
            f"{row['audio_hours_per_hour']:.0f} h of audio an hour"
        )
        if examples:
            table = Table(box=None, show_header=False, padding=(0, 1, 0, 4))
            for target, predicted in examples:
                table.add_row("target", target)
                table.add_row("predicted", predicted)
            self._console.print(table)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    def _figures(self, progress: float) -> str:
        elapsed = time.monotonic() - self._started
        behind = progress - (self._first_progress or 0.0)
        left = elapsed / behind * (1 - progress) if behind > 0 else None
        return "  ".join(
            [
                f"loss {self._loss:.3f}",
                "WER –" if self._wer is None else f"WER {self._wer:.1%}",
                f"{self._audio / 3600 / elapsed:.3f} h/s" if elapsed > 0 else "– h/s",
                "ETA –" if left is None else f"ETA {int(left) // 3600}:{int(left) // 60 % 60:02d}:{int(left) % 60:02d}",
            ]
        )
