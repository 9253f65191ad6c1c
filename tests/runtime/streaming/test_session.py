"""What a session tells depends on the samples alone, and each utterance is recognised as if it were a file."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steno import audio
from steno.decoding.transcript import Transcript
from steno.errors import AudioError, ModelError, StenoError
from steno.runtime import Recognizer
from steno.runtime.streaming import (
    EndpointConfig,
    Event,
    Final,
    Partial,
    StreamingSession,
    WindowConfig,
    advance,
)

RATE = tiny.RATE
PATIENT = EndpointConfig(vad=False, pause=0.6, long_pause=0.5)
WINDOW = WindowConfig(left=0.8, chunk=0.4, right=0.4)
QUICK = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

PIECES = st.lists(st.one_of(st.integers(1, 400), st.integers(1, 20_000), st.just(160_000)), min_size=1, max_size=40)
"""Lengths of the pieces in which a recording comes: 1 sample to 10 s."""


def conversation(pauses: Sequence[float] = (1.0, 1.2, 0.9)) -> np.ndarray:
    """Sentences of tones with pauses (s) after them."""
    faint = np.random.default_rng(9)
    parts = []
    for number, pause in enumerate(pauses):
        parts.append(tiny.speak(("ab cd", "da bb", "cab d")[number % 3], number))
        parts.append((0.001 * faint.standard_normal(int(pause * RATE))).astype(np.float32))
    return np.concatenate(parts)


def play(session: StreamingSession, samples: np.ndarray, pieces: Sequence[int]) -> list[Event]:
    """Everything that is told of a recording that comes in pieces of these lengths, over and over."""
    events: list[Event] = []
    at = number = 0
    while at < len(samples):
        length = pieces[number % len(pieces)]
        events += session.accept(samples[at : at + length])
        at, number = at + length, number + 1
    return events + session.finish()


def finals(events: Sequence[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


# ---- any chunking ------------------------------------------------------------------------------------------


@QUICK
@given(pieces=PIECES)
def test_any_chunking_tells_the_same_and_ends_in_the_text_of_the_whole_file(
    listener: Recognizer, pieces: list[int]
) -> None:
    samples = conversation((0.4, 0.3))
    expected = listener.transcribe([samples])[0]
    if sum(pieces) < 2000:
        pieces = [*pieces, 20_000]
    events = play(listener.stream(endpointing=None), samples, pieces)
    (final,) = finals(events)
    assert final.text == expected.text != ""
    for found, word in zip(final.transcript.words, expected.words, strict=True):
        assert (found.text, found.start, found.end) == (word.text, word.start, word.end)
        assert found.confidence == pytest.approx(word.confidence, abs=1e-4)
    assert (final.start, final.end, final.reason) == (0.0, len(samples) / RATE, "end")
    assert events == play(listener.stream(endpointing=None), samples, [len(samples)])


@QUICK
@given(pieces=PIECES)
@pytest.mark.parametrize("kind", ["steps", "windows"])
def test_endpoints_do_not_depend_on_the_chunking_either(
    listener: Recognizer, offline: Recognizer, pieces: list[int], kind: str
) -> None:
    recognizer, window = (listener, None) if kind == "steps" else (offline, WINDOW)
    samples = conversation()
    if sum(pieces) < 2000:
        pieces = [*pieces, 20_000]
    events = play(recognizer.stream(endpointing=PATIENT, window=window), samples, pieces)
    whole = recognizer.stream(endpointing=PATIENT, window=window)
    assert events == [*whole.accept(samples), *whole.finish()]
    assert len(finals(events)) == 3


def test_one_sample_at_a_time(listener: Recognizer) -> None:
    samples = tiny.speak("ab")
    assert play(listener.stream(), samples, [1]) == play(listener.stream(), samples, [len(samples)])


@pytest.mark.parametrize("length", [1, 50, 199, 200, 201, 2559, 2600, 2601, 5160])
def test_the_shortest_recordings(listener: Recognizer, length: int) -> None:
    samples = conversation()[1000 : 1000 + length]
    text = listener.transcribe([samples])[0].text
    told = finals(play(listener.stream(endpointing=None), samples, [77]))
    assert [final.text for final in told] == ([text] if text else [])


def test_no_samples_and_silence_tell_nothing(listener: Recognizer) -> None:
    session = listener.stream()
    assert session.finish() == []
    assert session.finished
    faint = 0.001 * np.random.default_rng(9).standard_normal(3 * RATE).astype(np.float32)
    assert play(listener.stream(), faint, [1000]) == []


# ---- utterances --------------------------------------------------------------------------------------------


def test_each_utterance_is_recognised_as_if_it_were_a_file(listener: Recognizer) -> None:
    samples = conversation()
    told = finals(play(listener.stream(endpointing=PATIENT), samples, [800]))
    assert [final.reason for final in told] == ["blank", "blank", "blank"]
    for final in told:
        cut = samples[round(final.start * RATE) : round(final.end * RATE)]
        alone = listener.transcribe([cut])[0]
        assert final.text == alone.text
        for found, word in zip(final.transcript.words, alone.words, strict=True):
            assert found.start == pytest.approx(final.start + word.start)
    for before, after in pairwise(told):
        assert before.end - after.start == pytest.approx(PATIENT.preroll)


def test_partials_grow_into_the_final(listener: Recognizer) -> None:
    events = play(listener.stream(endpointing=PATIENT), conversation(), [500])
    kinds = [isinstance(event, Partial) for event in events]
    assert kinds.index(False) > 1
    texts: list[str] = []
    for event in events:
        if isinstance(event, Partial):
            assert event.text == " ".join(word.text for word in event.words)
            assert not texts or event.text != texts[-1]
            texts.append(event.text)
        else:
            assert texts
            texts = []


def test_an_endless_utterance_is_cut_and_memory_stays_bounded(listener: Recognizer) -> None:
    limit = EndpointConfig(vad=False, max_utterance=2.0, long_utterance=100)
    session = listener.stream(endpointing=limit)
    samples = np.concatenate([tiny.speak("abcd" * 4, seed) for seed in range(4)])
    events: list[Event] = []
    for at in range(0, len(samples), 1600):
        events += session.accept(samples[at : at + 1600])
        assert session.waiting_seconds < 0.3
        assert len(session._stream.signal._kept_n) < RATE
    told = finals(events)
    assert len(told) >= 3
    assert {final.reason for final in told} == {"length"}
    assert all(final.end - final.start <= 2.2 for final in told)
    assert all(after.start == before.end for before, after in pairwise(told))


# ---- samples of any kind -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_another_rate_is_that_of_the_resampled_file(listener: Recognizer, rate: int) -> None:
    given_rate: np.ndarray = soxr.resample(conversation((0.2, 0.2)), RATE, rate)
    expected = listener.transcribe([audio.resample(given_rate, rate, RATE)])[0].text
    for pieces in ([997], [len(given_rate)]):
        (final,) = finals(play(listener.stream(rate, endpointing=None), given_rate, pieces))
        assert final.text == expected != ""
    session = listener.stream(endpointing=None)
    (final,) = finals([*session.accept(given_rate, rate), *session.finish()])
    assert final.text == expected


def test_integers_of_16_bits_are_full_scale(listener: Recognizer) -> None:
    samples = (conversation((0.2,)) * 32768).astype(np.int16)
    told = play(listener.stream(), samples, [1234])
    assert told == play(listener.stream(), samples.astype(np.float64) / 32768, [len(samples)])
    assert finals(told)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros((2, 100), np.float32), "one channel"),
        (np.zeros(100, np.int32), "int32"),
        (np.array([0.0, np.nan], np.float32), "not numbers"),
    ],
)
def test_what_is_no_samples_is_refused(listener: Recognizer, samples: Any, said: str) -> None:
    with pytest.raises(AudioError, match=said):
        listener.stream().accept(samples)


def test_a_rate_that_changes_or_cannot_be_is_refused(listener: Recognizer) -> None:
    session = listener.stream(8000)
    session.accept(np.zeros(100, np.float32))
    with pytest.raises(AudioError, match="8000 Hz was given samples of 16000 Hz"):
        session.accept(np.zeros(100, np.float32), 16_000)
    with pytest.raises(AudioError, match="between 1000 and"):
        listener.stream(1).accept(np.zeros(100, np.float32))


def test_nothing_comes_after_the_end(listener: Recognizer) -> None:
    session = listener.stream()
    session.finish()
    assert session.finish() == []
    with pytest.raises(ValueError, match="has ended"):
        session.accept(np.zeros(10, np.float32))


# ---- many sessions at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["steps", "windows"])
def test_many_sessions_in_one_batch_tell_what_each_tells_alone(
    listener: Recognizer, offline: Recognizer, kind: str
) -> None:
    recognizer, window = (listener, None) if kind == "steps" else (offline, WINDOW)
    recordings = [conversation()[n * 4000 : (n + 6) * 9000] for n in range(5)]
    alone = [play(recognizer.stream(endpointing=PATIENT, window=window), samples, [700]) for samples in recordings]
    sessions = [recognizer.stream(endpointing=PATIENT, window=window) for _ in recordings]
    together: list[list[Event]] = [[] for _ in recordings]
    for turn in range(400):
        for number, (session, samples) in enumerate(zip(sessions, recordings, strict=True)):
            at = (turn - number) * 1600  # each begins at another time
            if 0 <= at < len(samples):
                session.buffer(samples[at : at + 1600])
            elif at >= len(samples):
                session.end()
        for told, events in zip(together, advance(sessions), strict=True):
            told += events
    assert all(session.finished for session in sessions)
    assert [[e.text for e in finals(told)] for told in together] == [[e.text for e in finals(told)] for told in alone]
    assert [[(e.start, e.end) for e in finals(told)] for told in together] == [
        [(e.start, e.end) for e in finals(told)] for told in alone
    ]


def test_sessions_of_several_models_in_one_call(listener: Recognizer, offline: Recognizer) -> None:
    samples = tiny.speak("ab cd")
    sessions = [listener.stream(), offline.stream(), listener.stream()]
    for session in sessions[:2]:
        session.buffer(samples)
        session.end()
    told: list[list[Event]] = [[], [], []]
    while any(session.due for session in sessions):
        for mine, events in zip(told, advance(sessions), strict=True):
            mine += events
    assert [len(finals(events)) for events in told] == [1, 1, 0]
    assert advance([]) == []


# ---- what cannot be ----------------------------------------------------------------------------------------


def test_a_streaming_model_takes_no_window(listener: Recognizer) -> None:
    with pytest.raises(ModelError, match="is a streaming model"):
        listener.stream(window=WindowConfig())


def test_a_changed_step_is_refused(stream_model: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(stream_model, tmp_path / "copy"))
    graph = bytearray((folder / "stream.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (folder / "stream.onnx").write_bytes(graph)
    assert isinstance(Recognizer(folder).transcribe([tiny.speak("ab")])[0], Transcript)
    with pytest.raises(ModelError, match="SHA-256"):
        Recognizer(folder).stream()


def test_a_rate_that_the_voice_detector_does_not_know_is_refused() -> None:
    from steno.runtime.streaming.endpointing import Endpointer

    with pytest.raises(StenoError, match="22050"):
        Endpointer(EndpointConfig(), 22_050)
    Endpointer(EndpointConfig(vad=False), 22_050)
