"""The signal that a front-end sees of a recording that is still going on."""

from collections import deque

import numpy as np

from steno.audio import Samples


class Signal:
    """The last samples of one recording, and their reflection at its edges.

    Args:
        pad: samples that are reflected at each edge.
    """

    def __init__(self, pad: int = 0) -> None:
        self.pad = pad
        self.length = 0
        self.ended = False
        self._kept_n: Samples = np.zeros(0, np.float32)

    def append(self, samples_n: Samples) -> None:
        """The next samples."""
        self._kept_n = np.concatenate([self._kept_n, samples_n])
        self.length += len(samples_n)

    def forget(self, before: int) -> None:
        """No window will begin before this sample, nor be reflected at more than ``pad`` samples before its end."""
        first = self.length - len(self._kept_n)
        if before > first:
            self._kept_n = self._kept_n[before - first :]

    def window(self, start: int, stop: int) -> Samples:
        """Samples from ``start`` to ``stop``, reflected before 0 and, once the recording has ended, after its end.

        What lies further than ``pad`` from the recording is zero. Before the end more than ``pad`` samples, and all
        before ``stop``, must be there.
        """
        first = self.length - len(self._kept_n)
        if first <= start and stop <= self.length and start >= 0:
            return self._kept_n[start - first : stop - first]
        position_m = np.arange(start, stop)
        period = max(1, 2 * (self.length - 1))
        phase_m = np.mod(position_m, period)
        source_m = np.minimum(phase_m, period - phase_m) if self.length > 1 else np.zeros_like(position_m)
        near_m = (position_m >= -self.pad) & (position_m < self.length + self.pad)
        window_m = np.zeros(stop - start, np.float32)
        window_m[near_m] = self._kept_n[source_m[near_m] - first]
        return window_m


class SampleQueue:
    """Samples that wait, in pieces as they came."""

    def __init__(self) -> None:
        self._pieces: deque[Samples] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, samples_n: Samples) -> None:
        """Samples that come after the others."""
        if len(samples_n):
            self._pieces.append(samples_n)
            self._length += len(samples_n)

    def push_front(self, samples_n: Samples) -> None:
        """Samples that come before the others."""
        if len(samples_n):
            self._pieces.appendleft(samples_n)
            self._length += len(samples_n)

    def pop(self, most: int) -> Samples:
        """The first samples, at most so many."""
        taken: list[Samples] = []
        missing = min(most, self._length)
        self._length -= missing
        while missing:
            piece_n = self._pieces.popleft()
            if len(piece_n) > missing:
                self._pieces.appendleft(piece_n[missing:])
                piece_n = piece_n[:missing]
            taken.append(piece_n)
            missing -= len(piece_n)
        return np.concatenate(taken) if taken else np.zeros(0, np.float32)
