"""Where a long recording may be cut: at its silences, found by WebRTC's voice activity detector."""

from collections.abc import Iterable, Iterator

import numpy as np
import webrtcvad

from steno.audio import Samples

FRAME_SECONDS = 0.03
_RATES = (8000, 16_000, 32_000, 48_000)


def speech_frames(samples: Samples, sample_rate: int, aggressiveness: int = 2) -> np.ndarray:
    """Whether each whole frame of 30 ms holds speech: (N,) → (frames,) bool."""
    return FrameVad(sample_rate, aggressiveness).frames(samples)


class FrameVad:
    """The detector, with its memory of the frames before.

    Args:
        sample_rate: 8, 16, 32 or 48 kHz.
        aggressiveness: 0 takes most sounds for speech, 3 the fewest.
    """

    def __init__(self, sample_rate: int, aggressiveness: int = 2) -> None:
        if sample_rate not in _RATES:
            raise ValueError(f"the detector knows {_RATES} Hz, not {sample_rate}")
        self._rate = sample_rate
        self.frame = int(FRAME_SECONDS * sample_rate)
        self._vad = webrtcvad.Vad(aggressiveness)

    def frames(self, samples: Samples) -> np.ndarray:
        """Whether each whole frame of samples (N,) holds speech."""
        count = len(samples) // self.frame
        whole = np.clip(samples[: count * self.frame], -1, 1)
        pcm = (whole * 32_767).astype(np.int16).reshape(count, self.frame)
        return np.array([self._vad.is_speech(frame.tobytes(), self._rate) for frame in pcm], dtype=bool)


class Segmenter:
    """Cuts an endless recording into segments, in the middle of its silences.

    A segment ends at the first silence of at least ``silence`` seconds after ``target`` seconds, or, if none comes,
    at the longest silence (else the quietest frame) before ``longest`` seconds. Segments join without a gap; one
    with no speech in it is left out.

    Args:
        sample_rate: in Hz.
        target: seconds after which a segment may end.
        longest: seconds of a segment, at most.
        silence: seconds without speech that make a good cut.
    """

    def __init__(self, sample_rate: int, target: float = 15.0, longest: float = 30.0, silence: float = 0.3) -> None:
        self._vad = FrameVad(sample_rate)
        self._frame = self._vad.frame
        self._target, self._longest = int(target / FRAME_SECONDS), int(longest / FRAME_SECONDS)
        self._silence = max(1, int(silence / FRAME_SECONDS))
        self._samples = np.zeros(0, dtype=np.float32)
        self._speech = np.zeros(0, dtype=bool)
        self._start = 0

    def push(self, samples: Samples) -> list[tuple[int, Samples]]:
        """Go on with samples (N,); segments that are complete, with the sample at which each starts."""
        self._samples = np.concatenate([self._samples, samples])
        fresh = self._vad.frames(self._samples[len(self._speech) * self._frame :])
        self._speech = np.concatenate([self._speech, fresh])
        done = []
        while cut := self._cut():
            done += self._take(cut * self._frame)
        return done

    def finish(self) -> list[tuple[int, Samples]]:
        """What is left."""
        return self._take(len(self._samples))

    def _take(self, count: int) -> list[tuple[int, Samples]]:
        segment, start = self._samples[:count], self._start
        # What is shorter than a frame at the very end was not judged: it may hold speech.
        spoken = bool(self._speech[: count // self._frame].any()) or not len(self._speech)
        self._samples, self._speech = self._samples[count:].copy(), self._speech[count // self._frame :]
        self._start += count
        return [(start, segment)] if spoken and len(segment) else []

    def _cut(self) -> int:
        """The frame at which the segment ends, 0 if that cannot be said yet."""
        gaps = list(_gaps(self._speech[: self._longest]))
        for first, end in gaps:
            if (first + end) // 2 >= self._target and end - first >= self._silence:
                return (first + end) // 2
        if len(self._speech) < self._longest:
            return 0
        late = [(end - first, (first + end) // 2) for first, end in gaps if (first + end) // 2 >= self._target // 2]
        if late:
            return max(late)[1]
        frames = self._samples[: self._longest * self._frame].reshape(self._longest, self._frame)
        return self._target + int(np.square(frames[self._target :]).mean(axis=1).argmin())


def _gaps(speech: np.ndarray) -> Iterator[tuple[int, int]]:
    """First frame and end of each stretch without speech that is over."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], speech)).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=False)


def segments(blocks: Iterable[Samples], sample_rate: int, longest: float = 30.0) -> Iterator[tuple[int, Samples]]:
    """Segments of a recording that comes in blocks, each with the sample at which it starts."""
    segmenter = Segmenter(sample_rate, target=longest / 2, longest=longest)
    for block in blocks:
        yield from segmenter.push(block)
    yield from segmenter.finish()
