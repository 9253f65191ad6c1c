"""What strangers may send: nothing of it ends in a 5xx, a crash, or memory that stays.

``STENO_FUZZ`` says how many bodies and frames of each kind are sent; 1000 take some minutes.
"""

import io
import json
import os
import random
import socket
import struct

import numpy as np
import psutil
import schemathesis
import soundfile
from hypothesis import HealthCheck, given, settings
from running import Running
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from test_live import listen
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

COUNT = int(os.environ.get("STENO_FUZZ", "40"))


def test_requests_made_from_the_openapi_document(server: Running) -> None:
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
    operations = schemathesis.openapi.from_url(f"{server.url}/openapi.json").get_all_operations()
    for operation in operations:

        @given(case=operation.ok().as_strategy())
        @settings(
            max_examples=max(10, COUNT // 6),
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case) -> None:
            response = case.call()
            assert response.status_code < 500
            case.validate_response(response, checks=checks)

        ask()


def recording(form: str) -> bytes:
    file = io.BytesIO()
    samples = 0.1 * np.random.default_rng(0).standard_normal((4_000, 1))
    soundfile.write(file, samples, 16_000, format=form)
    return file.getvalue()


def mutated(generator: random.Random) -> bytes:
    """A recording whose bytes, mostly those of its header, were changed, cut, doubled or made up."""
    data = bytearray(recording(generator.choice(["WAV", "FLAC", "OGG", "MP3", "AIFF", "AU"])))
    for _ in range(generator.randint(1, 12)):
        at = generator.randrange(min(len(data), generator.choice([64, 64, 64, len(data)])))
        kind = generator.randrange(4)
        if kind == 0:
            data[at] = generator.randrange(256)
        elif kind == 1:
            data[at : at + 4] = struct.pack("<I", generator.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1]))
        elif kind == 2:
            del data[at : at + generator.randint(1, 40)]
        else:
            data[at:at] = data[at : at + 200]
        data = data or bytearray(b"RIFF")
    magic = [b"\0\0\0\x20ftypM4A ", b"\x1a\x45\xdf\xa3", b"\xff\xf1", b"fLaC", b"RIFF", b"PK\x03\x04", b"\x1f\x8b"]
    return generator.choice(magic) + bytes(data[8:]) if generator.random() < 0.3 else bytes(data)


def memory(server: Running) -> int:
    """Bytes that the server and its workers hold."""
    return sum(process.memory_info().rss for process in (psutil.Process(server.process.pid), *server.workers))


def bombs() -> list[bytes]:
    """Small files that claim, or are, hours of audio; headers that do not end."""
    found = []
    for form, seconds, rate in (("FLAC", 3_000, 16_000), ("FLAC", 90, 192_000), ("OGG", 600, 16_000)):
        file = io.BytesIO()
        with soundfile.SoundFile(file, "w", rate, 1, format=form) as target:
            for _ in range(seconds):  # by the second: libsndfile overflows its stack over a long block of Vorbis
                target.write(np.zeros(rate, np.int16))
        found.append(file.getvalue())
    found.append(b"RIFF\xff\xff\xff\xffWAVE" + b"LIST\x08\0\0\0INFOxxxx" * 50_000)
    found.append(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + b"\0" * 1_000_000)
    found.append(b"OggS" + b"\0\x02" * 200_000)
    return found


def test_mutated_recordings_and_bombs(server: Running, wav: bytes) -> None:
    generator = random.Random(0)
    for _ in range(5):
        server.post(mutated(generator))
    workers, before = {worker.pid for worker in server.workers}, memory(server)
    answers = [server.post(mutated(generator)) for _ in range(COUNT)] + [server.post(bomb) for bomb in bombs()]
    assert {answer.status_code for answer in answers} <= {200, 400, 413}
    assert {worker.pid for worker in server.workers} == workers
    assert server.post(wav).json()["text"] == "ab cd"
    assert memory(server) < 1.1 * before


def test_frames_of_any_kind(server: Running) -> None:
    generator = random.Random(1)
    before = memory(server)
    for _ in range(COUNT):
        with connect(server.stream_url) as stream:
            encoding = generator.choice(["pcm16", "opus"])
            config = {"type": "config", "encoding": encoding, "sample_rate": generator.choice([8_000, 44_100, 96_000])}
            try:
                if generator.random() < 0.9:
                    stream.send(json.dumps(config))
                for _ in range(generator.randint(1, 6)):
                    junk = generator.randbytes(generator.choice([0, 1, 2, 7, 60, 3_000, 70_000]))
                    stream.send(junk if generator.random() < 0.8 else junk.decode("latin-1"))
                stream.send(json.dumps({"type": "finish"}))
            except ConnectionClosed:
                pass
            said = list(listen(stream))
        assert stream.close_code in (1000, 1007)
        assert not [event for event in said if event["type"] == "error" and event["error"]["type"] == "server_error"]
    assert server.metric("steno_worker_restarts_total") == 0
    assert memory(server) < 1.1 * before


def test_frames_that_are_too_large_and_heads_that_do_not_end(server: Running) -> None:
    with connect(server.stream_url) as stream:
        stream.send(json.dumps({"type": "config"}))
        stream.send(b"\0" * 2_000_000)
        list(listen(stream))
    assert stream.close_code == 1009
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        sent = 0
        try:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            while sent < 50_000_000:
                sent += connection.send(b"x-more: " + b"a" * 8_000 + b"\r\n")
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert sent < 10_000_000
    assert server.client.get("/healthz").status_code == 200
