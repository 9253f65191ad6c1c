"""The progress of a download on a terminal."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class ConsoleWatcher:
    """A bar a stage, with bytes, speed and time left; a :class:`~steno.data.download.fetch.Watcher`."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._stage, self._task, self._done = "", TaskID(0), 0

    def __enter__(self) -> "ConsoleWatcher":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Move the bar of a stage, or start a new one when the stage is another or begins again."""
        if stage != self._stage or done < self._done:
            # What lies here from an earlier run is no speed: the bar starts from it.
            self._task = self._progress.add_task(stage, total=total, completed=done)
            self._stage = stage
        self._done = done
        self._progress.update(self._task, completed=done, total=total)

    def note(self, message: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)
