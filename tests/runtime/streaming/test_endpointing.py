"""Each rule of endpointing ends what it should, and nothing else does."""

import numpy as np
import pytest
import tiny
from pydantic import ValidationError

from steno.runtime.streaming import EndpointConfig
from steno.runtime.streaming.endpointing import Endpointer, Voice

RATE = 16_000


def samples(seconds: float) -> int:
    return round(seconds * RATE)


def heard(config: EndpointConfig, speech: float, silence: float, token: float | None, start: float = 0.0) -> str | None:
    """The rule that holds after so many seconds of speech and silence, the last token at ``token``."""
    endpointer = Endpointer(config, RATE)
    voice = tiny.speak("abcd" * 40)[: samples(speech)]
    endpointer.accept(np.concatenate([voice, np.zeros(samples(silence), np.float32)]), 0)
    now = samples(speech + silence)
    return endpointer.reason(samples(start), now, now, None if token is None else samples(token))


RULES = EndpointConfig(pause=0.8, blank=1.6, silence=5.0, max_utterance=20.0)
BLIND = RULES.model_copy(update={"vad": False})


@pytest.mark.parametrize(
    ("speech", "silence", "token", "rule"),
    [
        (2.0, 0.5, 1.9, None),
        (2.0, 1.1, 1.9, "pause"),
        (2.0, 1.1, None, "pause"),  # a voice, though nothing was decoded
        (2.0, 1.1, 2.9, None),  # the recogniser still hears something
        (3.0, 0.0, 1.9, None),  # the detector still hears something
        (4.0, 0.0, 1.9, "blank"),  # … that is none of the recogniser's
        (0.0, 4.9, None, None),
        (0.0, 5.1, None, "silence"),
        (20.0, 0.0, 19.9, "length"),
    ],
)
def test_the_rules(speech: float, silence: float, token: float | None, rule: str | None) -> None:
    assert heard(RULES, speech, silence, token) == rule


@pytest.mark.parametrize(
    ("length", "token", "rule"),
    [(2.0, 1.5, None), (2.0, 1.1, "blank"), (4.0, None, None), (5.1, None, "silence"), (20.0, 19.9, "length")],
)
def test_without_the_voice_detector_the_recogniser_alone_decides(
    length: float, token: float | None, rule: str | None
) -> None:
    assert heard(BLIND, length, 0.0, token) == rule


def test_a_long_utterance_ends_at_a_short_pause() -> None:
    assert heard(RULES, 11.0, 0.7, 10.9) is None
    assert heard(RULES, 13.0, 0.7, 12.9) == "pause"


def test_speech_before_the_utterance_is_not_its_own() -> None:
    assert heard(RULES, 2.0, 3.0, None, start=3.0) is None
    assert heard(RULES, 2.0, 3.0, None) == "pause"


def test_the_detector_does_not_depend_on_the_cutting() -> None:
    recording = np.concatenate([tiny.speak("ab cd"), np.zeros(8000, np.float32), tiny.speak("b")])
    ends = []
    for size in (1, 333, len(recording)):
        voice = Voice(RATE, 2)
        for at in range(0, len(recording), size):
            voice.accept(recording[at : at + size])
        ends.append((voice.heard, voice.speech_end))
    assert len(set(ends)) == 1
    assert ends[0][0] == len(recording)


def test_the_preroll_is_not_heard_twice() -> None:
    endpointer = Endpointer(RULES, RATE)
    recording = tiny.speak("ab cd")
    endpointer.accept(recording, 0)
    endpointer.accept(recording[-3000:], len(recording) - 3000)
    endpointer.accept(np.concatenate([recording[-10:], np.zeros(100, np.float32)]), len(recording) - 10)
    assert endpointer._vad is not None
    assert endpointer._vad.heard == len(recording) + 100


def test_a_preroll_that_would_never_end_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"preroll 0\.4 s is not shorter"):
        EndpointConfig(preroll=0.4)


@pytest.mark.parametrize("pause", [0.1, 0.5, 3.0])
def test_the_pause_that_is_asked_for_is_waited_for(pause: float) -> None:
    rules = EndpointConfig.pausing(pause)
    assert heard(rules, 2.0, 0.8 * pause, 1.9) is None
    assert heard(rules, 2.0, 1.1 * pause + 0.25, 1.9) == "pause"  # the detector takes a moment
