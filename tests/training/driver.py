"""The command line with a display that writes down each step's loss, and may send a signal to itself.

``STENO_TEST_LOSSES`` is the file that the losses go to, one ``repr`` a line; ``STENO_TEST_SIGNAL`` is
``NUMBER@STEP``: which signal comes right after which step, counted from 1 within this process.
"""

import os
from pathlib import Path

from steno.cli import main
from steno.training import display


class Writing(display.ConsoleDisplay):
    """Writes losses down, and sends the signal that was ordered."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0

    def step(self, loss: float, audio_seconds: float, progress: float) -> None:
        super().step(loss, audio_seconds, progress)
        self._steps += 1
        with Path(os.environ["STENO_TEST_LOSSES"]).open("a") as file:
            file.write(f"{loss!r}\n")
        number, _, step = os.environ.get("STENO_TEST_SIGNAL", "0@0").partition("@")
        if self._steps == int(step):
            os.kill(os.getpid(), int(number))


if __name__ == "__main__":
    vars(display)["ConsoleDisplay"] = Writing
    main()
