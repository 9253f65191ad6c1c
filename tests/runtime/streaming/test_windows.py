"""An offline model by overlapping windows: the frames fit together, and with enough context nothing is lost."""

import numpy as np
import pytest
import tiny

from steno.runtime import Recognizer
from steno.runtime.streaming import Final, WindowConfig

RATE = tiny.RATE


def streamed(recognizer: Recognizer, samples: np.ndarray, window: WindowConfig) -> str:
    session = recognizer.stream(endpointing=None, window=window)
    return " ".join(event.text for event in session.accept(samples) + session.finish() if isinstance(event, Final))


def emissions(recognizer: Recognizer, samples: np.ndarray, window: WindowConfig) -> np.ndarray:
    """All frames that the windows of a recording give, joined."""
    encoder = recognizer._streamer._encoder(window)
    stream, found = encoder.start(), []
    for at in range(0, len(samples), encoder.tick):
        stream.accept(samples[at : at + encoder.tick])
        if stream.due:
            found += encoder.run([stream])
    stream.end()
    while stream.due:
        found += encoder.run([stream])
    assert stream.done
    return np.concatenate(found)


def test_what_fits_a_window_is_the_whole(offline: Recognizer) -> None:
    samples = tiny.speak("ab cd")
    assert streamed(offline, samples, WindowConfig(chunk=2.0)) == offline.transcribe([samples])[0].text == "ab cd"


@pytest.mark.parametrize("seconds", [0.0001, 0.4, 0.8, 1.0, 1.99, 2.0, 3.217])
@pytest.mark.parametrize("window", [WindowConfig(left=0.5, chunk=0.2, right=0.3), WindowConfig(left=0, right=0)])
def test_there_are_as_many_frames_as_in_the_whole(offline: Recognizer, seconds: float, window: WindowConfig) -> None:
    samples = np.resize(tiny.speak("abcd dcba bb"), max(1, round(seconds * RATE)))
    assert emissions(offline, samples, window).shape == offline.emissions([samples])[0].shape


def test_frames_with_enough_context_are_those_of_the_whole(offline: Recognizer) -> None:
    samples = np.concatenate([tiny.speak("ab cd b"), tiny.speak("ca d")])
    whole = offline.emissions([samples])[0]
    near = emissions(offline, samples, WindowConfig(left=5, chunk=0.4, right=1.6))
    far = emissions(offline, samples, WindowConfig(left=0.04, chunk=0.4, right=0.04))
    assert np.abs(near - whole).mean() < 0.2 * np.abs(far - whole).mean()
    assert (
        streamed(offline, samples, WindowConfig(left=5, chunk=0.4, right=1.6)) == offline.transcribe([samples])[0].text
    )


def test_memory_stays_bounded(offline: Recognizer) -> None:
    session = offline.stream(endpointing=None, window=WindowConfig(left=0.5, chunk=0.5, right=0.5))
    for seed in range(20):
        session.accept(tiny.speak("abcd", seed))
        assert len(session._stream.signal._kept_n) < 2 * RATE
