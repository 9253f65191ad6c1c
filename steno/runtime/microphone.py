"""The microphone as an endless recording, through PortAudio (the extra ``mic``)."""

import logging
import queue
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np

from steno.audio import Samples
from steno.errors import AudioError, MissingExtraError

log = logging.getLogger(__name__)

BLOCK_SECONDS = 0.1


class Microphone:
    """An input device at its own rate, one channel.

    Args:
        device: a part of its name, or its number; None is the system's choice.

    Raises:
        MissingExtraError: the extra ``mic`` is not installed.
        AudioError: PortAudio is missing, or there is no such device, or it cannot be opened.
    """

    def __init__(self, device: str | None = None) -> None:
        self._portaudio = _portaudio()
        chosen: str | int | None = int(device) if device is not None and device.isdecimal() else device
        self._blocks: queue.SimpleQueue[Samples] = queue.SimpleQueue()
        try:
            self.rate = float(self._portaudio.query_devices(chosen, "input")["default_samplerate"])
            self._stream = self._portaudio.InputStream(
                samplerate=self.rate,
                blocksize=int(BLOCK_SECONDS * self.rate),
                device=chosen,
                channels=1,
                dtype="float32",
                callback=self._take,
            )
        except (self._portaudio.PortAudioError, ValueError) as error:
            raise AudioError(
                f"{'no microphone' if device is None else f'microphone {device!r}'}: {error}",
                self._known(),
            ) from None

    def __enter__(self) -> Self:
        self._stream.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def blocks(self) -> Iterator[Samples]:
        """What it hears, about 0.1 s (N,) at a time, without an end.

        Raises:
            AudioError: it was unplugged.
        """
        while True:
            try:
                yield self._blocks.get(timeout=1.0)
            except queue.Empty:
                if not self._stream.active:
                    raise AudioError("the microphone has stopped", "Plug it in again and start anew.") from None

    def _take(self, samples: np.ndarray, _frames: int, _time: Any, status: Any) -> None:
        if status:
            log.warning("microphone: %s; some audio was lost", status)
        self._blocks.put(samples[:, 0].copy())

    def _known(self) -> str:
        inputs = [
            f"{number}: {found['name']}"
            for number, found in enumerate(self._portaudio.query_devices())
            if found["max_input_channels"] > 0
        ]
        if not inputs:
            return "There is no input device on this machine; give a recording with --file."
        return "Choose one with --device: " + "; ".join(inputs)


def _portaudio() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise MissingExtraError("sounddevice", "mic") from None
    except OSError as error:
        raise AudioError(
            f"the microphone cannot be used: {error}",
            "Install PortAudio (Debian and Ubuntu: apt install libportaudio2), or give a recording with --file.",
        ) from None
    return sounddevice
