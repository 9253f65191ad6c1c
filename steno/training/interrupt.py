"""Ctrl-C and SIGTERM as a request to save and stop."""

import os
import signal
from types import FrameType
from typing import Any, Self


class Interrupted(KeyboardInterrupt):
    """What was asked to stop did; everything is saved."""


class Interrupt:
    """Within the block the first signal sets ``requested``; a second one stops at once.

    But not under torchrun: it passes on what a terminal has sent to its processes already, and ends those that do not
    leave itself.

    ``agreed`` is set by the loop once all processes know of the request.
    """

    def __init__(self) -> None:
        self.requested = False
        self.agreed = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested and "TORCHELASTIC_RUN_ID" not in os.environ:
            raise KeyboardInterrupt
        self.requested = True
