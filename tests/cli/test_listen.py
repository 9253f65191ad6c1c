"""`steno listen`: a recording as text and as events, a microphone, and what cannot be."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny

from steno.runtime import Recognizer


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two sentences with 1.5 s of near silence after each."""
    faint = np.random.default_rng(0)
    parts = []
    for number, text in enumerate(("ab cd", "da cb")):
        parts += [tiny.speak(text, number), 0.001 * faint.standard_normal(24_000)]
    soundfile.write(tmp_path / "talk.wav", np.concatenate(parts), tiny.RATE)
    return tmp_path / "talk.wav"


def test_a_recording_is_a_line_an_utterance(steno: Callable, model: Path, recording: Path) -> None:
    ran = steno("listen", "--model", model, "--file", recording)
    assert ran == (0, "ab cd\nda cb\n", "")


def test_events_as_json_lines(steno: Callable, model: Path, recording: Path) -> None:
    ran = steno("listen", "--model", model, "--file", recording, "--format", "jsonl")
    events = [json.loads(line) for line in ran.out.splitlines()]
    finals = [event for event in events if event["type"] == "final"]
    assert [event["text"] for event in finals] == ["ab cd", "da cb"]
    assert {event["type"] for event in events} == {"partial", "final"}
    assert finals[0]["reason"] == "pause"
    words = finals[1]["words"]
    assert [word["word"] for word in words] == ["da", "cb"]
    assert finals[1]["start"] < words[0]["start"] < words[0]["end"] < words[1]["start"] < finals[1]["end"]
    assert 0 < words[0]["confidence"] <= 1


def test_a_short_pause_ends_an_utterance_where_it_is_asked_to(steno: Callable, model: Path, recording: Path) -> None:
    ends = []
    for pause in (0.3, 1.0):
        ran = steno("listen", "--model", model, "--file", recording, "--format", "jsonl", "--pause", pause)
        events = [json.loads(line) for line in ran.out.splitlines()]
        ends.append(next(event["end"] for event in events if event["type"] == "final"))
    assert ends[0] < ends[1]


def test_real_time_is_the_pace_of_the_recording(
    steno: Callable, model: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    clock = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("steno.cli.listen.time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock[0]))
    ran = steno("listen", "--model", model, "--file", recording, "--realtime")
    assert ran.out == "ab cd\nda cb\n"
    assert sum(slept) == pytest.approx(soundfile.info(recording).duration)


def test_on_a_terminal_the_line_is_rewritten(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from steno.cli.listen import _Captions
    from steno.decoding.transcript import Transcript
    from steno.runtime.streaming import Final, Partial

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "11")
    captions = _Captions()
    captions.write(Partial("what is said", (), 0.0))
    captions.write(Final(Transcript("what is said now"), 0.0, 1.0, "pause"))
    assert capsys.readouterr().out == "\r\x1b[2Kat is said\r\x1b[2Kwhat is said now\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--realtime"], "--file"),
        (["--file", "talk.wav", "--device", "0"], "two sources"),
        (["--file", "gone.wav"], "gone.wav: no such file"),
    ],
)
def test_what_cannot_be_is_refused(steno: Callable, model: Path, options: list[str], said: str) -> None:
    ran = steno("listen", "--model", model, *options)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


# ---- a microphone ------------------------------------------------------------------------------------------


class PortAudioError(Exception):
    """As sounddevice's."""


class Device:
    """PortAudio with one microphone, which plays a recording and is then unplugged."""

    PortAudioError = PortAudioError

    def __init__(self, samples: np.ndarray, rate: float) -> None:
        self.samples, self.rate = samples, rate
        self.closed = False

    def query_devices(self, device: object = None, kind: str | None = None) -> Any:
        found = {"name": "Desk microphone", "max_input_channels": 1, "default_samplerate": self.rate}
        if kind is None:
            return [{"name": "Speakers", "max_input_channels": 0}, found]
        if device not in (None, 1, "Desk"):
            raise ValueError(f"No input device matching {device!r}")
        return found

    def InputStream(self, *, callback: Callable, blocksize: int, samplerate: float, **_: Any) -> "Device":
        assert samplerate == self.rate
        self.callback, self.blocksize = callback, blocksize
        return self

    def start(self) -> None:
        for at in range(0, len(self.samples), self.blocksize):
            self.callback(self.samples[at : at + self.blocksize, None], self.blocksize, None, None)

    def close(self) -> None:
        self.closed = True

    @property
    def active(self) -> bool:
        return False


@pytest.fixture
def device(recording: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    samples, rate = soundfile.read(recording, dtype="float32")
    found = Device(samples, float(rate))
    monkeypatch.setitem(sys.modules, "sounddevice", found)
    return found


def test_a_microphone_is_heard_until_it_stops(steno: Callable, model: Path, device: Device) -> None:
    ran = steno("listen", "--model", model, "--device", "Desk")
    assert ran.out == "ab cd\nda cb\n"
    assert ran.code == 2
    assert "the microphone has stopped" in ran.err
    assert device.closed


def test_control_c_ends_what_has_no_end(model: Path) -> None:
    from steno.cli.listen import _run
    from steno.runtime.streaming import Event, Final

    def blocks() -> Any:
        yield tiny.speak("ab cd")
        raise KeyboardInterrupt

    told: list[Event] = []
    _run(Recognizer(model).stream(), blocks(), told.append, endless=True)
    assert isinstance(told[-1], Final)
    assert told[-1].text == "ab cd"
    with pytest.raises(KeyboardInterrupt):
        _run(Recognizer(model).stream(), blocks(), told.append)


def test_a_device_that_is_not_there_names_those_that_are(steno: Callable, model: Path, device: Device) -> None:
    ran = steno("listen", "--model", model, "--device", "7")
    assert ran.code == 2
    assert "microphone '7'" in ran.err
    assert "1: Desk microphone" in ran.err
    assert "Speakers" not in ran.err


def test_no_microphone_no_portaudio_no_extra(
    steno: Callable, model: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_device: object = None, kind: str | None = None) -> Any:
        if kind is None:
            return []
        raise PortAudioError("Error querying device -1")

    monkeypatch.setattr(device, "query_devices", none)
    ran = steno("listen", "--model", model)
    assert (ran.code, "no microphone" in ran.err, "no input device" in ran.err) == (2, True, True)

    class Broken:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "sounddevice":
                raise failure

    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    failure: Exception = OSError("PortAudio library not found")
    assert "libportaudio2" in steno("listen", "--model", model).err
    failure = ModuleNotFoundError("No module named 'sounddevice'", name="sounddevice")
    assert "pip install '.[mic]'" in steno("listen", "--model", model).err
