"""What lies between a voice and a recording: a room, noise, a level, and the pause before and after."""

from dataclasses import dataclass

import numpy as np

from steno.audio import SAMPLE_RATE, Samples
from steno.data.noise import coloured_noise
from steno.data.rooms import Signal, reverberate, room

NOISE_SLOPES = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""Power falls with frequency f as f to minus this."""

PEAK = 0.9
"""The highest sample of a recording, of full scale 1."""

_SILENCE = 1e-9


@dataclass(frozen=True)
class Scene:
    """How one utterance was recorded.

    Args:
        seed: of the noise and of the room.
        level: root mean square of the recording, dB of full scale.
        lead, trail: seconds of background before and after the voice.
        rt60: seconds in which the room's echo falls by 60 dB; None for no room.
        direct: dB by which the direct sound exceeds the echo.
        noise: a key of NOISE_SLOPES.
        snr: signal-to-noise ratio, dB.
    """

    seed: int
    level: float
    lead: float
    trail: float
    rt60: float | None
    direct: float
    noise: str
    snr: float


def record(speech: Samples, scene: Scene, sample_rate: int = SAMPLE_RATE) -> Samples:
    """The recording of a voice, (N,) in and (N + lead + trail,) out; never above :data:`PEAK`."""
    rng = np.random.default_rng(scene.seed)
    lead, trail = (round(seconds * sample_rate) for seconds in (scene.lead, scene.trail))
    dry = np.pad(speech.astype(np.float64), (lead, trail))
    voice = dry if scene.rt60 is None else reverberate(dry, room(scene.rt60, scene.direct, rng, sample_rate))
    noise = coloured_noise(len(voice), NOISE_SLOPES[scene.noise], rng, sample_rate)
    spoken = voice[lead : lead + len(speech)]
    mixed = voice + noise * _rms(spoken) * 10 ** (-scene.snr / 20)
    mixed *= 10 ** (scene.level / 20) / _rms(mixed)
    loudest = float(np.abs(mixed).max())
    return (mixed * min(1.0, PEAK / loudest)).astype(np.float32)


def _rms(signal: Signal) -> float:
    return max(float(np.sqrt(np.mean(signal**2))), _SILENCE)
