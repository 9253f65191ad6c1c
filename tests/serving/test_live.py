"""Live streams, as a client of the WebSocket sees them."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tiny
from running import KEY, Running
from waiting import wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from steno.runtime import Recognizer


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def listen(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """What the server says until it closes."""
    try:
        while True:
            yield json.loads(socket.recv(timeout=20))
    except ConnectionClosed:
        return


def converse(server: Running, *messages: dict[str, Any] | str | bytes, **config: Any) -> list[dict[str, Any]]:
    """Configure, send, and hear everything."""
    with connect(server.stream_url) as socket:
        socket.send(json.dumps({"type": "config", **config}))
        try:
            for message in messages:
                socket.send(json.dumps(message) if isinstance(message, dict) else message)
        except ConnectionClosed:
            pass  # the server has said why, and that can still be read
        return list(listen(socket))


def closing(server: Running, *messages: str | bytes) -> tuple[str, int]:
    """The error's code and the close code after some messages, without a configuration before them."""
    with connect(server.stream_url) as socket:
        for message in messages:
            socket.send(message)
        said = list(listen(socket))
        assert socket.close_code is not None
        return said[-1]["error"]["code"], socket.close_code


@pytest.mark.parametrize("size", [2, 346, 3_200, 100_000])
def test_any_cutting_gives_the_text_of_the_whole(server: Running, model: Any, spoken: np.ndarray, size: int) -> None:
    expected = Recognizer(model, threads=1).transcribe([spoken])[0].text
    audio = pcm(spoken)
    frames = [audio[at : at + size] for at in range(0, len(audio), size)]
    said = converse(server, *frames, {"type": "finish"}, endpointing=False)
    assert [event["type"] for event in said if event["type"] != "partial"] == ["ready", "final", "done"]
    final = next(event for event in said if event["type"] == "final")
    assert final["text"] == expected == "ab cd"
    assert [word["word"] for word in final["words"]] == expected.split()
    assert 0 <= final["start"] < final["end"]


def test_pauses_end_utterances(server: Running) -> None:
    silence = np.zeros(int(1.5 * tiny.RATE), np.float32)
    samples = np.concatenate([tiny.speak("ab", 1), silence, tiny.speak("cd", 2), silence])
    said = converse(server, pcm(samples), {"type": "finish"})
    assert [event["text"] for event in said if event["type"] == "final"] == ["ab", "cd"]
    endpoints = [event for event in said if event["type"] == "endpoint"]
    assert len(endpoints) >= 1
    assert endpoints[0]["reason"] in ("pause", "blank")
    assert 0.5 < endpoints[0]["time"] < len(samples) / tiny.RATE


def test_partials_can_be_left_out(server: Running, spoken: np.ndarray) -> None:
    audio = pcm(np.tile(spoken, 4))
    assert "partial" in {event["type"] for event in converse(server, audio, {"type": "finish"})}
    assert "partial" not in {event["type"] for event in converse(server, audio, {"type": "finish"}, partials=False)}


def test_other_rates_and_opus(server: Running, spoken: np.ndarray) -> None:
    import av
    import soxr

    high = soxr.resample(spoken, 16_000, 48_000)
    said = converse(server, pcm(high), {"type": "finish"}, sample_rate=48_000)
    assert next(event["text"] for event in said if event["type"] == "final") == "ab cd"
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "flt", 64_000
    packets = []
    for at in range(0, len(high) - 960, 960):
        frame = av.AudioFrame.from_ndarray(high[None, at : at + 960], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48_000, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    said = converse(server, *packets, {"type": "finish"}, encoding="opus")
    assert said[-1]["type"] == "done"
    assert [event for event in said if event["type"] == "final"]


def test_wrong_messages_are_told_and_the_connection_closed(server: Running) -> None:
    config = json.dumps({"type": "config"})
    assert closing(server, b"\0\0") == ("invalid_config", 1007)
    assert closing(server, "hello") == ("invalid_config", 1007)
    assert closing(server, config, "hello") == ("invalid_message", 1007)
    assert closing(server, config, config) == ("invalid_message", 1007)
    assert closing(server, config, b"\0\0\0") == ("invalid_audio", 1007)
    assert closing(server, json.dumps({"type": "config", "sample_rate": 7})) == ("invalid_config", 1007)
    assert closing(server, json.dumps({"type": "config", "encoding": "opus"}), b"\xff" * 9)[0] == "invalid_audio"


def test_a_stream_without_endpoints_cannot_grow_for_ever(server: Running) -> None:
    """It may be as long as a file; one with endpoints goes on."""
    minute = pcm(np.zeros(61 * tiny.RATE, np.float32))
    frames = [minute[at : at + 320_000] for at in range(0, len(minute), 320_000)]
    said = converse(server, *frames, {"type": "finish"}, endpointing=False)
    assert said[-1]["error"]["code"] == "audio_too_long"
    assert converse(server, *frames, {"type": "finish"})[-1]["type"] == "done"


def test_the_key_comes_by_header_subprotocol_or_message(strict: Running) -> None:
    server = strict
    config = {"type": "config"}
    ways: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"additional_headers": {"authorization": f"Bearer {KEY}"}}, config),
        ({"subprotocols": ["steno.v1", f"steno-key.{KEY}"]}, config),
        ({}, {**config, "key": KEY}),
    ]
    for options, first in ways:
        with connect(server.stream_url, **options) as socket:
            socket.send(json.dumps(first))
            assert json.loads(socket.recv(timeout=20))["type"] == "ready"
        wait_until_free(server)
    for options in (
        {"additional_headers": {"authorization": "Bearer wrong-key-0123456789"}},
        {"subprotocols": ["steno.v1", "steno-key.wrong"]},
    ):
        with pytest.raises(InvalidStatus) as told:
            connect(server.stream_url, **options)
        assert told.value.response.status_code == 401
    for first in (config, {**config, "key": "wrong-key-0123456789"}):
        with connect(server.stream_url) as socket:
            socket.send(json.dumps(first))
            assert [event["error"]["code"] for event in listen(socket)] == ["invalid_api_key"]
            assert socket.close_code == 1008


def wait_until_free(server: Running) -> None:
    wait_for(lambda: not server.metric("steno_streams"), 10)


def test_beyond_its_streams_the_server_refuses_at_once_and_a_silent_client_is_let_go(strict: Running) -> None:
    key = {"authorization": f"Bearer {KEY}"}
    refused = 'steno_refusals_total{reason="streams_full"}'
    before = strict.metric(refused)
    with connect(strict.stream_url, additional_headers=key) as first:
        first.send(json.dumps({"type": "config"}))
        assert json.loads(first.recv(timeout=20))["type"] == "ready"
        assert strict.metric("steno_streams") == 1
        with pytest.raises(InvalidStatus) as told:
            connect(strict.stream_url, additional_headers=key)
        assert told.value.response.status_code == 429
        assert int(told.value.response.headers["retry-after"]) > 0
        assert strict.metric(refused) == before + 1
        assert [event["error"]["code"] for event in listen(first)] == ["idle"]
        assert first.close_code == 1008
    wait_until_free(strict)


def test_a_page_of_another_origin_cannot_open_a_stream(server: Running) -> None:
    with pytest.raises(InvalidStatus) as told:
        connect(server.stream_url, origin="https://elsewhere.example")  # type: ignore[arg-type]
    assert told.value.response.status_code == 403
