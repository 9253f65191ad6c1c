"""What the server does when it is full, when a worker dies, when it has to leave, and when the model changes."""

import asyncio
import contextlib
import io
import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from running import Running, Start
from test_live import listen, pcm
from waiting import wait_for
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from steno.errors import ModelError, TrackingError
from steno.serving import server as running_server
from steno.serving.config import ServeConfig
from steno.serving.keys import Keys
from steno.serving.service import Service
from steno.serving.streampool import StreamPool


def noise(seconds: float) -> bytes:
    file = io.BytesIO()
    generator = np.random.default_rng(0)
    soundfile.write(file, 0.1 * generator.standard_normal(int(seconds * 16_000)), 16_000, format="WAV")
    return file.getvalue()


def held(server: Running) -> socket.socket:
    """A request that has been admitted and whose body does not come."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n"
    head += "Content-Length: 1000\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
    connection.sendall(f"{head}--x\r\n".encode())
    wait_for(lambda: server.metric("steno_requests_inside"), 10)
    return connection


def test_a_full_server_refuses_with_retry_after_and_admits_again(strict: Running, wav: bytes) -> None:
    with held(strict) as connection:
        answer = strict.post(wav)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
        assert int(answer.headers["retry-after"]) >= 1
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")  # the body did not come
    wait_for(lambda: not strict.metric("steno_requests_inside"), 10)
    assert strict.post(wav).json()["text"] == "ab cd"


def test_a_body_that_is_too_large_is_refused(strict: Running) -> None:
    answer = strict.post(noise(10))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_requests_that_wait_share_a_batch(server: Running, wav: bytes) -> None:
    count, total = (f'steno_batch_size_{part}{{kind="files"}}' for part in ("count", "sum"))
    before = server.metric(count), server.metric(total)
    with ThreadPoolExecutor(13) as pool:
        first = pool.submit(server.post, noise(30))
        time.sleep(0.1)
        answers = list(pool.map(lambda _: server.post(wav), range(12)))
    assert first.result().status_code == 200
    assert [answer.json()["text"] for answer in answers] == ["ab cd"] * 12
    assert server.metric(count) - before[0] == 13
    assert server.metric(total) - before[1] > 13


def test_a_worker_that_dies_costs_its_requests_alone_and_sigterm_nobody_inside(
    start: Start, spoken: np.ndarray, wav: bytes
) -> None:
    server = start("--drain-seconds", 10)
    assert server.post(wav).status_code == 200
    before = {worker.pid for worker in server.workers}
    with connect(server.stream_url) as live:
        live.send(json.dumps({"type": "config"}))
        assert json.loads(live.recv(timeout=20))["type"] == "ready"
        for worker in server.workers:
            worker.kill()
        assert [event["error"]["code"] for event in listen(live)] == ["worker_died"]
        assert live.close_code == 1012
    assert server.post(wav).json()["text"] == "ab cd"  # waits for the new worker
    wait_for(lambda: server.metric('steno_workers_ready{kind="streams"}'), 30)
    assert not before & {worker.pid for worker in server.workers}
    assert server.metric("steno_worker_restarts_total") == 2

    with connect(server.stream_url) as live:
        live.send(json.dumps({"type": "config"}))
        assert json.loads(live.recv(timeout=20))["type"] == "ready"
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: server.client.get("/readyz").status_code == 503, 10)
        answer = server.post(wav)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping")
        assert int(answer.headers["retry-after"]) >= 1
        live.send(pcm(spoken))
        live.send(json.dumps({"type": "finish"}))
        assert [event["text"] for event in listen(live) if event["type"] == "final"] == ["ab cd"]
    assert server.process.wait(15) == 0


def test_a_stream_that_does_not_end_gets_its_final_when_the_server_leaves(start: Start, spoken: np.ndarray) -> None:
    server = start("--drain-seconds", 1)
    with connect(server.stream_url) as live:
        live.send(json.dumps({"type": "config"}))
        live.send(pcm(spoken))
        assert json.loads(live.recv(timeout=20))["type"] == "ready"
        server.process.send_signal(signal.SIGTERM)

        def speak_on() -> None:  # as a microphone does, which knows nothing of servers
            with contextlib.suppress(ConnectionClosed):
                while True:
                    live.send(pcm(np.zeros(800)))
                    time.sleep(0.05)

        speaking = threading.Thread(target=speak_on)
        speaking.start()
        said = list(listen(live))
        speaking.join()
        assert [event["text"] for event in said if event["type"] == "final"] == ["ab cd"]
        assert live.close_code == 1001
    assert server.process.wait(15) == 0


def test_no_worker_outlives_a_killed_server(start: Start) -> None:
    server = start()
    workers = server.workers
    server.stop(signal.SIGKILL)
    for worker in workers:
        worker.wait(10)


def test_another_model_takes_over_and_no_request_is_lost(
    model: Path, tmp_path: Path, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, damaged = tmp_path / "other", tmp_path / "damaged"
    shutil.copytree(model, other)
    config = other / "config.yaml"
    config.write_text(config.read_text().replace("name: tiny", "name: other"))
    shutil.copytree(model, damaged)
    (damaged / "model.onnx").write_bytes(b"damaged")
    monkeypatch.setattr(running_server, "WATCH_SECONDS", 0.05)
    now, asked = [model], [0]

    def resolve() -> Path:
        asked[0] += 1
        if not now[0].name:
            raise TrackingError("the registry is away")
        return now[0]

    async def swap() -> None:
        service = Service(ServeConfig(names=("tiny",), workers=1, max_streams=0), Keys())
        await service.use(model)
        first = service.engine
        following = asyncio.create_task(running_server.follow(service, resolve, model))
        waiting = [first.files.submit(io.BytesIO(wav), len(wav), time.monotonic() + 30).answer for _ in range(5)]
        now[0] = other
        while service.engine is first:
            await asyncio.sleep(0.02)
        second = service.engine
        assert second.version != first.version
        after = second.files.submit(io.BytesIO(wav), len(wav), time.monotonic() + 30).answer
        texts = [head["transcript"]["text"] for head in await asyncio.gather(*waiting, after)]
        assert texts == ["ab cd"] * 6
        for broken in (damaged, Path()):
            now[0], before = broken, asked[0]
            while asked[0] < before + 3:
                await asyncio.sleep(0.02)
            assert b"steno_model_left_behind 1.0" in service.metrics.text()
        assert b"steno_model_load_failures_total 1.0" in service.metrics.text()  # a registry that is away is none
        assert b"steno_model_swaps_total 1.0" in service.metrics.text()
        loaded = service.metrics.registry.get_sample_value("steno_model_loaded_timestamp_seconds")
        assert (loaded or 0.0) >= second.loaded
        assert service.engine is second
        now[0], before = other, asked[0]
        while asked[0] < before + 3:
            await asyncio.sleep(0.02)
        assert b"steno_model_left_behind 0.0" in service.metrics.text()
        following.cancel()
        await service.close()

    asyncio.run(asyncio.wait_for(swap(), 60))


@pytest.mark.parametrize("loads", [True, False])
def test_files_are_answered_while_the_streams_workers_load(
    model: Path, wav: bytes, monkeypatch: pytest.MonkeyPatch, loads: bool
) -> None:
    begin = StreamPool.start

    async def check() -> None:
        gate = asyncio.Event()

        async def late(pool: StreamPool) -> None:
            await gate.wait()
            if not loads:
                raise ModelError("the step cannot be loaded")
            await begin(pool)

        monkeypatch.setattr(StreamPool, "start", late)
        service = Service(ServeConfig(names=("tiny",), workers=1, max_streams=1), Keys())
        loading = asyncio.create_task(service.use(model))
        await service.answering.wait()
        answer = service.engine.files.submit(io.BytesIO(wav), len(wav), time.monotonic() + 30).answer
        assert (await answer)["transcript"]["text"] == "ab cd"
        assert not service.ready
        gate.set()
        if loads:
            await loading
        else:
            with pytest.raises(ModelError):
                await loading
        assert service.ready == loads
        await service.close()

    asyncio.run(asyncio.wait_for(check(), 60))


def test_mistakes_end_with_exit_code_2(steno: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    def told(*options: object) -> str:
        done = steno("serve", *options)
        assert (done.code, done.out) == (2, "")
        return str(done.err)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot be listened on" in told("--model", model, "--port", taken.getsockname()[1])
    assert "--watch follows a reference" in told("--model", model, "--watch")
    assert "not an origin" in told("--model", model, "--cors", "example.org")
    assert "the options of steno serve: `language`" in told("--model", model, "--language", "english")
    assert "workers" in told("--model", model, "--workers", 300)
    (tmp_path / "keys").write_text("short")
    assert "key 1" in told("--model", model, "--api-keys", tmp_path / "keys")
    damaged = tmp_path / "damaged"
    shutil.copytree(model, damaged)
    (damaged / "model.onnx").write_bytes(b"damaged")
    assert "SHA-256" in told("--model", damaged, "--port", 0)


def test_a_connection_that_says_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, so that it need not take the server's ten seconds."""
    import uvicorn

    from steno.serving import protocols

    monkeypatch.setattr(protocols, "HEAD_SECONDS", 0.3)

    async def app(scope: dict, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, http=protocols.HttpProtocol, ws="none", lifespan="off", log_config=None)
    )  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    address = bound.getsockname()
    for head in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection(address) as silent:
            silent.settimeout(5)
            silent.sendall(head)
            with contextlib.suppress(ConnectionResetError):
                assert silent.recv(10) == b""
    assert httpx.get(f"http://127.0.0.1:{address[1]}/").status_code == 204
    server.should_exit = True
    thread.join()
