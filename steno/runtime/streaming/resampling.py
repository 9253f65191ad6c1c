"""Samples of any kind and rate, piece by piece, to float32 at the recogniser's rate."""

from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from steno.audio import Samples
from steno.errors import AudioError


class StreamResampler:
    """The pieces of all calls, joined, do not depend on where the recording was cut.

    Args:
        to_rate: wanted rate in Hz.
    """

    def __init__(self, to_rate: int) -> None:
        self._to_rate = to_rate
        self._from_rate: float | None = None
        self._soxr: soxr.ResampleStream | None = None

    def accept(self, samples: npt.NDArray[Any], rate: float) -> Samples:
        """Resampled samples (M,) of the next (N,), float of full scale ±1 or 16-bit integers; M may be 0.

        Raises:
            AudioError: the rate has changed, or these are not such samples.
        """
        if self._from_rate is None:
            if not 1_000 <= rate <= 768_000:
                raise AudioError(f"a stream of {rate:g} Hz: the rate has to lie between 1000 and 768000 Hz")
            self._from_rate = rate
            if rate != self._to_rate:
                self._soxr = soxr.ResampleStream(rate, self._to_rate, 1, dtype="float32")
        elif rate != self._from_rate:
            raise AudioError(
                f"a stream of {self._from_rate:g} Hz was given samples of {rate:g} Hz",
                "Start another session for them.",
            )
        plain = _as_float(samples)
        return plain if self._soxr is None else self._resampled(plain, last=False)

    def finish(self) -> Samples:
        """The samples that were held back."""
        return _NONE if self._soxr is None else self._resampled(_NONE, last=True)

    def _resampled(self, samples: Samples, last: bool) -> Samples:
        assert self._soxr is not None
        resampled: Samples = self._soxr.resample_chunk(samples, last=last)
        return resampled


_NONE: Samples = np.zeros(0, np.float32)


def _as_float(samples: npt.NDArray[Any]) -> Samples:
    array = np.asarray(samples)
    if array.ndim != 1:
        raise AudioError(f"samples of shape {array.shape}: a stream takes one channel, (N,)", "Mix the channels first.")
    if array.dtype == np.int16:
        return array.astype(np.float32) / np.float32(32768)
    if array.dtype.kind != "f":
        raise AudioError(f"samples of type {array.dtype}: a stream takes float of full scale ±1, or int16")
    plain = array.astype(np.float32)
    if not np.isfinite(plain).all():
        raise AudioError("the stream was given samples that are not numbers")
    return plain
