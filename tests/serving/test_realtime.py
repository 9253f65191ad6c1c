"""OpenAI's Realtime API, as OpenAI's own client sees it."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import soxr
import tiny
from openai import OpenAI
from openai.types.realtime import RealtimeServerEvent
from openai.types.realtime.realtime_transcription_session_create_response import (
    RealtimeTranscriptionSessionCreateResponse,
)
from pydantic import TypeAdapter
from running import KEY, Running, Start
from waiting import wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from steno.serving.realtime import Utterance

TRANSCRIPTION = "conversation.item.input_audio_transcription"


def pcm(samples: np.ndarray, rate: int = 24_000) -> bytes:
    """Samples at 16 kHz as 16-bit ones of another rate."""
    return (soxr.resample(samples, tiny.RATE, rate) * 32767).astype("<i2").tobytes()


def ulaw(samples: np.ndarray, codec: str) -> bytes:
    """Samples at 16 kHz as G.711."""
    import av

    low = (soxr.resample(samples, tiny.RATE, 8_000) * 32767).astype(np.int16)
    encoder = av.AudioCodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8_000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(low[None], format="s16", layout="mono")
    frame.sample_rate = 8_000
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@contextmanager
def session(server: Running, **audio_input: Any) -> Iterator[Any]:
    """A connection of the client, configured if anything is said."""
    client = OpenAI(base_url=f"{server.url}/v1", api_key=server.key or "none")
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        assert connection.recv().type == "session.created"
        if audio_input:
            connection.session.update(session={"type": "transcription", "audio": {"input": audio_input}})
            assert connection.recv().type == "session.updated"
        yield connection


def speak(connection: Any, audio: bytes, size: int = 9_600) -> None:
    for at in range(0, len(audio), size):
        connection.input_audio_buffer.append(audio=base64.b64encode(audio[at : at + size]).decode())


def until(connection: Any, last: Callable[[Any], bool]) -> list[Any]:
    """What the server says, up to an event."""
    events = [connection.recv()]
    while not last(events[-1]):
        events.append(connection.recv())
    return events


@contextmanager
def bare(server: Running, query: str = "intent=transcription", **options: Any) -> Iterator[Any]:
    """A connection without a client library, for what that would not send."""
    with connect(f"{server.url.replace('http', 'ws', 1)}/v1/realtime?{query}", **options) as socket:
        yield socket


def read(socket: Any) -> dict[str, Any]:
    """The server's next event."""
    found: dict[str, Any] = json.loads(socket.recv(timeout=20))
    return found


def completed(event: Any) -> bool:
    return bool(event.type == f"{TRANSCRIPTION}.completed")


def test_a_commit_ends_an_utterance(server: Running, spoken: np.ndarray) -> None:
    with session(server, turn_detection=None, transcription={"model": "tiny", "language": "en"}) as connection:
        for previous in (False, True):
            speak(connection, pcm(np.tile(spoken, 3)))
            connection.input_audio_buffer.commit()
            events = until(connection, completed)
            kinds = [event.type for event in events if event.type != f"{TRANSCRIPTION}.delta"]
            assert kinds == [
                "input_audio_buffer.committed",
                "conversation.item.added",
                "conversation.item.done",
                f"{TRANSCRIPTION}.completed",
            ]
            committed = next(event for event in events if event.type == "input_audio_buffer.committed")
            assert (committed.previous_item_id is not None) == previous
            final = events[-1]
            assert final.transcript == "ab cd ab cd ab cd"
            assert final.item_id == committed.item_id
            assert final.usage.seconds == pytest.approx(3 * len(spoken) / tiny.RATE, abs=0.01)
            deltas = [event.delta for event in events if event.type == f"{TRANSCRIPTION}.delta"]
            assert "".join(deltas) == final.transcript


def test_the_server_ends_utterances_at_pauses(server: Running) -> None:
    silence = np.zeros(int(1.5 * tiny.RATE), np.float32)
    samples = np.concatenate([silence, tiny.speak("ab", 1), silence, tiny.speak("cd", 2), silence])
    with session(server) as connection:
        speak(connection, pcm(samples))
        events = until(connection, completed)
        connection.input_audio_buffer.commit()
        events += until(connection, completed)
    kinds = [event.type for event in events if event.type != f"{TRANSCRIPTION}.delta"]
    assert kinds == 2 * [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{TRANSCRIPTION}.completed",
    ]
    assert [event.transcript for event in events if completed(event)] == ["ab", "cd"]
    started = [event.audio_start_ms for event in events if event.type.endswith("speech_started")]
    stopped = [event.audio_end_ms for event in events if event.type.endswith("speech_stopped")]
    assert 1_300 < started[0] < stopped[0] < started[1] < stopped[1] <= 1000 * len(samples) / tiny.RATE + 1
    assert len({event.item_id for event in events if completed(event)}) == 2


def test_the_pause_is_the_clients(server: Running) -> None:
    silence = np.zeros(int(1.5 * tiny.RATE), np.float32)
    samples = np.concatenate([tiny.speak("ab", 1), silence, tiny.speak("cd", 2), silence])
    found = {}
    for ms in (500, 4000):
        vad = {"type": "server_vad", "silence_duration_ms": ms, "threshold": 0.4, "prefix_padding_ms": 300}
        with session(server, turn_detection=vad) as connection:
            speak(connection, pcm(samples))
            found[ms] = [until(connection, completed)[-1].transcript] if ms == 500 else []
            connection.input_audio_buffer.commit()
            found[ms].append(until(connection, completed)[-1].transcript)
    assert {ms: len(texts) for ms, texts in found.items()} == {500: 2, 4000: 1}


@pytest.mark.parametrize(("kind", "codec"), [("audio/pcmu", "pcm_mulaw"), ("audio/pcma", "pcm_alaw")])
def test_telephone_audio(server: Running, spoken: np.ndarray, kind: str, codec: str) -> None:
    texts = []
    for form, audio in (
        ({"type": kind}, ulaw(spoken, codec)),
        ({"type": "audio/pcm", "rate": 8000}, pcm(spoken, 8000)),
    ):
        with session(server, format=form, turn_detection=None) as connection:
            speak(connection, audio, 800)
            connection.input_audio_buffer.commit()
            texts.append(until(connection, completed)[-1])
    assert texts[0].transcript == texts[1].transcript != ""  # 8 kHz alone cost these tones something
    assert texts[0].usage.seconds == pytest.approx(len(spoken) / tiny.RATE, abs=0.01)


def test_what_is_cleared_is_not_heard(server: Running, spoken: np.ndarray) -> None:
    with session(server, turn_detection=None) as connection:
        speak(connection, pcm(spoken))
        connection.input_audio_buffer.clear()
        until(connection, lambda event: event.type == "input_audio_buffer.cleared")
        connection.input_audio_buffer.commit()
        assert (
            until(connection, lambda event: event.type == "error")[-1].error.code == "input_audio_buffer_commit_empty"
        )
        speak(connection, pcm(spoken))
        connection.input_audio_buffer.commit()
        assert until(connection, completed)[-1].transcript == "ab cd"


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ("hello", "invalid_message", None),
        ({"type": "response.create"}, "invalid_message", None),
        ({"type": "input_audio_buffer.append"}, "invalid_message", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "*"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "invalid_audio", "audio"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "session.update", "session": {"type": "realtime"}}, "unsupported_parameter", "session.type"),
        ({"audio": {"input": {"transcription": {"model": "whisper-9"}}}}, "model_not_found", "model"),
        ({"audio": {"input": {"transcription": {"language": "fr"}}}}, "invalid_value", "language"),
        ({"audio": {"input": {"transcription": {"prompt": "ab"}}}}, "unsupported_parameter", "prompt"),
        ({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}, "invalid_value", None),
        ({"audio": {"input": {"noise_reduction": {"type": "near_field"}}}}, "invalid_value", None),
        ({"audio": {"input": {"format": {"type": "audio/opus"}}}}, "invalid_value", None),
        ({"audio": {"input": 3}}, "invalid_value", None),
        ({"audio": 3}, "invalid_value", None),
        ({"include": ["item.input_audio_transcription.logprobs"]}, "invalid_value", None),
    ],
)
def test_mistakes_cost_nothing_else(
    server: Running, spoken: np.ndarray, event: dict[str, Any] | str, code: str, param: str | None
) -> None:
    if isinstance(event, dict) and "session" not in event and not str(event.get("type", "")).count("."):
        event = {"type": "session.update", "session": {"type": "transcription", **event}}
    with connect(f"{server.url.replace('http', 'ws', 1)}/v1/realtime?intent=transcription") as socket:
        assert json.loads(socket.recv(timeout=20))["type"] == "session.created"
        socket.send(event if isinstance(event, str) else json.dumps({**event, "event_id": "mine"}))
        said = json.loads(socket.recv(timeout=20))
        assert (said["type"], said["error"]["code"]) == ("error", code)
        assert said["error"]["event_id"] == (None if isinstance(event, str) else "mine")
        if param:
            assert said["error"]["param"] == param
        append = {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm(spoken)).decode()}
        socket.send(json.dumps(append))
        socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        while (said := json.loads(socket.recv(timeout=20)))["type"] != f"{TRANSCRIPTION}.completed":
            assert said["type"] != "error"
        assert said["transcript"] == "ab cd"


def test_settings_of_audio_that_is_there_stay(server: Running, spoken: np.ndarray) -> None:
    with session(server, turn_detection=None) as connection:
        speak(connection, pcm(spoken))
        connection.session.update(
            session={"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
        )
        assert until(connection, lambda event: event.type == "error")[-1].error.code == "invalid_state"
        connection.input_audio_buffer.commit()
        assert until(connection, completed)[-1].transcript == "ab cd"
        connection.session.update(
            session={"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
        )
        told = connection.recv()
        assert told.type == "session.updated"
        assert told.session.audio.input.format.type == "audio/pcmu"
        assert told.session.audio.input.turn_detection is None  # what was not named stays


def test_keys_and_idle_clients(strict: Running) -> None:
    url = f"{strict.url.replace('http', 'ws', 1)}/v1/realtime?intent=transcription"
    with pytest.raises(InvalidStatus) as refused:
        connect(url)
    assert refused.value.response.status_code == 401
    protocols: Any = ["realtime", f"openai-insecure-api-key.{KEY}"]
    with connect(url, subprotocols=protocols) as socket:
        assert socket.subprotocol == "realtime"
        assert json.loads(socket.recv(timeout=20))["type"] == "session.created"
        assert json.loads(socket.recv(timeout=20))["error"]["code"] == "idle"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1008


def test_a_server_that_stops_tells_the_last_words(start: Any, spoken: np.ndarray) -> None:
    running = start("--drain-seconds", 3)
    with session(running) as connection:
        speak(connection, pcm(np.tile(spoken, 6)))
        until(connection, lambda event: event.type == f"{TRANSCRIPTION}.delta")
        running.process.terminate()
        assert until(connection, completed)[-1].transcript.endswith("ab cd")
    assert running.process.wait(20) == 0


def test_events_have_the_shapes_of_the_api(server: Running, spoken: np.ndarray) -> None:
    """The client itself takes any shape; what is required is required here."""
    silence = np.zeros(int(1.5 * tiny.RATE), np.float32)
    audio = base64.b64encode(pcm(np.concatenate([spoken, silence]))).decode()
    sent: list[dict[str, Any]] = [
        {"type": "session.update", "session": {"type": "transcription"}},
        {"type": "input_audio_buffer.append", "audio": audio},
        {"type": "input_audio_buffer.append", "audio": "*"},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
    ]
    shapes: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
    seen = []
    with bare(server) as socket:
        for event in sent:
            socket.send(json.dumps(event))
        while f"{TRANSCRIPTION}.completed" not in seen or "input_audio_buffer.cleared" not in seen:
            said = read(socket)
            shapes.validate_python(said)
            seen.append(said["type"])
            if said["type"].startswith("session."):
                session = RealtimeTranscriptionSessionCreateResponse.model_validate(said["session"])
                assert session.object == "realtime.transcription_session"
    assert {"session.created", "session.updated", "error", "input_audio_buffer.speech_stopped"} <= set(seen)
    assert f"{TRANSCRIPTION}.delta" in seen


@pytest.mark.parametrize("codec", ["pcm_mulaw", "pcm_alaw"])
def test_the_words_of_the_beta(server: Running, spoken: np.ndarray, codec: str) -> None:
    # Left to itself, the client of the beta speaks TLS.
    sockets = f"{server.url.replace('http', 'ws', 1)}/v1"
    client = OpenAI(base_url=f"{server.url}/v1", websocket_base_url=sockets, api_key="none")
    told = {"pcm_mulaw": "g711_ulaw", "pcm_alaw": "g711_alaw"}[codec]
    with client.beta.realtime.connect(model="tiny", extra_query={"intent": "transcription"}) as connection:
        assert connection.recv().type == "session.created"
        asked: Any = {
            "input_audio_format": told,
            "input_audio_transcription": {"model": "tiny", "language": "en"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 4_000},
        }
        connection.transcription_session.update(session=asked)
        updated: Any = connection.recv()
        assert updated.type == "transcription_session.updated"
        assert updated.session.input_audio_format == told
        assert updated.session.turn_detection.silence_duration_ms == 4_000
        asked = {"turn_detection": None}
        connection.transcription_session.update(session=asked)
        updated = connection.recv()
        assert updated.session.turn_detection is None
        assert updated.session.input_audio_format == told  # what was not named stays
        speak(connection, ulaw(spoken, codec), 800)
        connection.input_audio_buffer.commit()
        events = until(connection, completed)
    kinds = [event.type for event in events if event.type != f"{TRANSCRIPTION}.delta"]
    assert kinds == ["input_audio_buffer.committed", "conversation.item.created", f"{TRANSCRIPTION}.completed"]
    assert events[-1].transcript


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input_audio_format": "mp3"}, "g711_ulaw"),
        ({"input_audio_format": ["pcm16"]}, "pcm16"),
        ({"input_audio_noise_reduction": {"type": "near_field"}}, "noise_reduction"),
        ({"modalities": ["text"]}, "modalities"),
        ({"input_audio_transcription": {"model": "whisper-9"}}, "tiny"),
    ],
)
def test_mistakes_in_the_words_of_the_beta(server: Running, change: dict[str, Any], said: str) -> None:
    with bare(server) as socket:
        read(socket)
        socket.send(json.dumps({"type": "transcription_session.update", "event_id": "mine", "session": change}))
        answer = read(socket)
        assert (answer["type"], answer["error"]["event_id"]) == ("error", "mine")
        assert said in answer["error"]["message"]
        socket.send(json.dumps({"type": "session.update", "session": {"type": "transcription"}}))
        assert read(socket)["type"] == "session.updated"


@pytest.mark.parametrize(
    ("query", "code", "closed"),
    [
        ("intent=transcription&model=whisper-9", "model_not_found", 1008),
        ("intent=conversation", "unsupported_parameter", 1007),
    ],
)
def test_an_address_that_asks_for_what_there_is_not(server: Running, query: str, code: str, closed: int) -> None:
    with bare(server, query) as socket:
        said = read(socket)
        assert (said["type"], said["error"]["code"]) == ("error", code)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == closed


def test_pages_of_other_origins_are_refused(server: Running) -> None:
    with pytest.raises(InvalidStatus) as refused, bare(server, origin="https://elsewhere.example"):
        pass
    assert refused.value.response.status_code == 403


def test_there_is_room_for_so_many_and_it_is_given_back(strict: Running) -> None:
    options: dict[str, Any] = {"additional_headers": {"authorization": f"Bearer {KEY}"}}
    with bare(strict, **options) as first:
        read(first)
        with pytest.raises(InvalidStatus) as refused, bare(strict, **options):
            pass
        assert refused.value.response.status_code == 429
    wait_for(lambda: strict.metric("steno_streams") == 0, 20)
    with bare(strict, **options) as again:
        assert read(again)["type"] == "session.created"


def test_a_worker_that_dies_fails_the_item(start: Start, spoken: np.ndarray) -> None:
    server = start("--max-seconds", 60)
    with bare(server) as socket:
        read(socket)
        vad = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        socket.send(json.dumps({"type": "session.update", "session": vad}))
        read(socket)
        socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm(spoken)).decode()}))
        socket.send(json.dumps({"type": "hello"}))
        while read(socket)["type"] != "error":  # the audio before it has been taken
            pass
        for worker in server.workers:
            worker.kill()
        while (said := read(socket))["type"] == f"{TRANSCRIPTION}.delta":
            pass
        assert (said["type"], said["error"]["code"]) == (f"{TRANSCRIPTION}.failed", "worker_died")
        said = read(socket)
        assert (said["type"], said["error"]["code"]) == ("error", "worker_died")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1012


@pytest.mark.parametrize(
    ("results", "final", "deltas"),
    [
        (["a", "a b", "a b c"], "a b c", ["", "a", " b", " c"]),
        (["a", "x b", "x b c", "x b c d"], "x b c d", ["", "", "x b", " c", " d"]),
        (["a b c", "a b c", "a z c"], "a z c", ["", "a b", "", ""]),  # told words changed: `completed` has what counts
        ([], "", [""]),
    ],
)
def test_deltas_only_ever_add(results: list[str], final: str, deltas: list[str]) -> None:
    utterance = Utterance("item_1")
    told = [utterance.settled(text) for text in results]
    assert [*told, utterance.rest(final.split())] == deltas


def test_who_waits_for_what_was_committed_is_not_idle(start: Start, spoken: np.ndarray) -> None:
    server = start("--idle-seconds", 2)
    with bare(server) as socket:
        read(socket)
        audio = base64.b64encode(pcm(spoken)).decode()
        vad = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        for worker in server.workers:
            worker.suspend()
        for event in (
            {"type": "session.update", "session": vad},
            {"type": "input_audio_buffer.append", "audio": audio},
            {"type": "input_audio_buffer.commit"},
        ):
            socket.send(json.dumps(event))
        while read(socket)["type"] != "conversation.item.done":
            pass
        with pytest.raises(TimeoutError):  # the server has nothing to say, and does not hang up
            socket.recv(timeout=5)
        for worker in server.workers:
            worker.resume()
        while (said := read(socket))["type"] != f"{TRANSCRIPTION}.completed":
            assert said["type"] == f"{TRANSCRIPTION}.delta"
        assert said["transcript"] == "ab cd"
        assert read(socket)["error"]["code"] == "idle"  # now it is the client that does nothing


def test_an_utterance_that_only_a_commit_ends_is_as_long_as_a_file(start: Start) -> None:
    server = start("--max-seconds", 1)
    with bare(server) as socket:
        read(socket)
        vad = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        socket.send(json.dumps({"type": "session.update", "session": vad}))
        read(socket)
        silence = base64.b64encode(bytes(2 * 48_000)).decode()
        socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": silence}))
        said = read(socket)
        assert (said["type"], said["error"]["code"]) == (f"{TRANSCRIPTION}.failed", "audio_too_long")
        assert read(socket)["type"] == "error"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1009
