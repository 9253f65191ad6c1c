"""The command line with a display that writes down each step's loss, and may send a signal to its own process.

``STENO_TEST_LOSSES`` is the file that the losses go to, one ``repr`` a line; ``STENO_TEST_SIGNAL`` is
``NUMBER@STEP``: which signal comes right after which step, counted from 1 within this process; ``STENO_TEST_RANK`` is
the process that gets it, the first one unless given. torchrun's later attempts get none.
"""

import os
from pathlib import Path

from steno.cli import main
from steno.training import display, run


class Signalling:
    """Sends the signal that was ordered."""

    def __init__(self) -> None:
        self._steps = 0
        wanted = os.environ.get("STENO_TEST_RANK", "0") == os.environ.get("RANK", "0")
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        self._order = os.environ.get("STENO_TEST_SIGNAL", "0@0") if wanted and first else "0@0"

    def count(self) -> None:
        self._steps += 1
        number, _, step = self._order.partition("@")
        if self._steps == int(step):
            os.kill(os.getpid(), int(number))


class Writing(display.ConsoleDisplay):
    """Writes losses down."""

    def __init__(self) -> None:
        super().__init__()
        self._signalling = Signalling()

    def step(self, loss: float, audio_seconds: float, progress: float) -> None:
        super().step(loss, audio_seconds, progress)
        with Path(os.environ["STENO_TEST_LOSSES"]).open("a") as file:
            file.write(f"{loss!r}\n")
        self._signalling.count()


class Silent(display.SilentDisplay):
    """What the other processes have."""

    def __init__(self) -> None:
        self._signalling = Signalling()

    def step(self, loss: float, audio_seconds: float, progress: float) -> None:
        self._signalling.count()


if __name__ == "__main__":
    vars(display)["ConsoleDisplay"] = Writing
    vars(run)["SilentDisplay"] = Silent
    main()
