"""The API as the stock OpenAI client uses it, and as it answers when something is wrong."""

import io
import re
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import soundfile
from running import KEY, Running
from waiting import wait_for

from steno import audio
from steno.runtime import Recognizer


@pytest.fixture(scope="session")
def client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def test_the_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "steno"
    with pytest.raises(openai.NotFoundError, match="`whisper-1` is not served here"):
        client.models.retrieve("whisper-1")


def test_every_format(client: openai.OpenAI, wav: bytes) -> None:
    create = client.audio.transcriptions.create
    assert create(model="tiny", file=("a.wav", wav)).text == "ab cd"
    assert create(model="tiny", file=("a.wav", wav), response_format="text") == "ab cd\n"
    times = r"\d\d:\d\d:\d\d{0}\d\d\d --> \d\d:\d\d:\d\d{0}\d\d\d"
    srt = create(model="tiny", file=("a.wav", wav), response_format="srt")
    assert re.fullmatch(rf"1\n{times.format(',')}\nab cd\n", srt)
    vtt = create(model="tiny", file=("a.wav", wav), response_format="vtt")
    assert re.fullmatch(rf"WEBVTT\n\n{times.format('[.]')}\nab cd\n", vtt)


def test_verbose_json(client: openai.OpenAI, wav: bytes, spoken: np.ndarray) -> None:
    heard = client.audio.transcriptions.create(
        model="tiny",
        file=("a.wav", wav),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
        temperature=0,
    )
    assert (heard.text, heard.language) == ("ab cd", "en")
    assert heard.duration == pytest.approx(len(spoken) / 16_000, abs=0.01)
    assert heard.words is not None
    assert [word.word for word in heard.words] == ["ab", "cd"]
    assert heard.words[0].end <= heard.words[1].start < heard.words[1].end <= heard.duration
    assert heard.segments is not None
    assert [segment.text for segment in heard.segments] == ["ab cd"]
    assert heard.segments[0].avg_logprob <= 0


def test_server_sent_events(client: openai.OpenAI, wav: bytes) -> None:
    events = list(client.audio.transcriptions.create(model="tiny", file=("a.wav", wav), stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[0].delta == events[-1].text == "ab cd"


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3"])
def test_other_kinds_of_files(client: openai.OpenAI, model: Path, spoken: np.ndarray, form: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, spoken, 16_000, format=form)
    expected = Recognizer(model, threads=1).transcribe([audio.load(file.getvalue())])[0].text
    assert client.audio.transcriptions.create(model="tiny", file=(f"a.{form}", file.getvalue())).text == expected


def test_silence_has_no_words(client: openai.OpenAI) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(16_000), 16_000, format="WAV")
    for form in ("json", "verbose_json"):
        heard = client.audio.transcriptions.create(model="tiny", file=("a.wav", file.getvalue()), response_format=form)
        assert heard.text == ""


def test_errors_come_in_the_api_s_own_form(client: openai.OpenAI, wav: bytes) -> None:
    create = client.audio.transcriptions.create
    with pytest.raises(openai.BadRequestError) as told:
        create(model="tiny", file=("a.wav", b"no recording"))
    assert isinstance(told.value.body, dict)
    assert told.value.body.keys() == {"message", "type", "param", "code"}
    assert (told.value.param, told.value.code, told.value.type) == ("file", "invalid_audio", "invalid_request_error")
    assert told.value.request_id is not None
    for kind in ("WAV", "MP3", "M4A", "WebM", "AAC"):  # what is read is named where a file is none of it
        assert kind in told.value.body["message"]
    with pytest.raises(openai.NotFoundError, match="`whisper-1`"):
        create(model="whisper-1", file=("a.wav", wav))
    with pytest.raises(openai.BadRequestError, match="--hotwords"):
        create(model="tiny", file=("a.wav", wav), prompt="spell it so")


def test_audio_that_is_too_long_is_refused(server: Running) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(61 * 16_000), 16_000, format="FLAC")
    answer = server.post(file.getvalue())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "audio_too_long")


def test_paths_and_methods_that_do_not_exist(server: Running) -> None:
    for answer, status in ((server.client.get("/v2"), 404), (server.client.get("/v1/audio/transcriptions"), 405)):
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


def test_head_is_get_without_the_body(server: Running) -> None:
    for path, status in (("/v1/models", 200), ("/", 200), ("/healthz", 200), ("/v2", 404)):
        answer = server.client.head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["content-type"] == server.client.get(path).headers["content-type"]


def test_a_body_that_is_no_form_is_refused(server: Running) -> None:
    path = "/v1/audio/transcriptions"
    assert server.client.post(path, json={"model": "tiny"}).status_code == 400
    assert server.client.post(path, data={"model": "tiny"}).status_code == 400
    broken = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x", b"--x\r\nbroken", b"--y\r\n\r\n--y--", b"--x\r\n" + b"a: b\r\n" * 500):
        assert server.client.post(path, content=body, headers=broken).status_code == 400


def test_a_request_id_is_kept_if_it_is_one(server: Running) -> None:
    given = server.client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"]
    made = server.client.get("/healthz", headers={"x-request-id": "a b<script>"}).headers["x-request-id"]
    assert given == "abc-1"
    assert re.fullmatch(r"req_[0-9a-f]{24}", made)


def test_another_host_or_origin_is_refused(server: Running) -> None:
    assert server.client.get("/v1/models", headers={"host": "rebound.example"}).status_code == 421
    assert server.client.get("/v1/models", headers={"origin": "https://elsewhere.example"}).status_code == 403
    assert server.client.get("/v1/models", headers={"origin": "http://["}).status_code == 403
    assert server.client.get("/v1/models", headers={"origin": server.url}).status_code == 200
    assert server.client.get("/v1/models", headers={"host": "10.1.2.3:8080"}).status_code == 200


def test_other_origins_and_hosts_may_be_allowed(strict: Running) -> None:
    ours = "https://app.example"
    answer = strict.client.get("/v1/models", headers={"origin": ours, "host": "a.steno.example"})
    assert answer.headers["access-control-allow-origin"] == ours
    assert strict.client.get("/v1/models", headers={"origin": "https://other.example"}).status_code == 403


def test_without_a_key_there_is_nothing(strict: Running, wav: bytes) -> None:
    with httpx.Client(base_url=strict.url) as stranger:
        for path in ("/v1/models", "/v1/models/tiny", "/metrics"):
            answer = stranger.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
            assert "tiny" not in answer.text
        assert stranger.post("/v1/audio/transcriptions", files={"file": wav}).status_code == 401
        assert stranger.get("/healthz").json() == {"status": "ok"}
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{strict.url}/v1", api_key="wrong-key-0123456789").models.list()
    client = openai.OpenAI(base_url=f"{strict.url}/v1", api_key=KEY)
    assert client.audio.transcriptions.create(model="tiny", file=("a.wav", wav)).text == "ab cd"


def test_metrics_count_what_was_done(server: Running, wav: bytes) -> None:
    before = server.metric('steno_audio_seconds_total{kind="files"}')
    assert server.post(wav).status_code == 200
    assert server.metric('steno_audio_seconds_total{kind="files"}') > before
    assert server.metric("steno_requests_inside") == 0
    assert server.metric('steno_workers_ready{kind="files"}') == 1


def test_the_log_is_json_and_has_transcripts_only_if_asked(server: Running, strict: Running, wav: bytes) -> None:
    lines = []
    for running in (server, strict):
        number = running.post(wav).headers["x-request-id"]
        # The line is written when the answer has gone out.
        lines += wait_for(
            lambda log=running, number=number: [line for line in log.events() if line.get("id") == number], 10
        )[:1]
    assert lines[0].keys() >= {"time", "level", "id", "status", "seconds", "audio_seconds"}
    assert "ab cd" not in server.log.read_text()
    assert lines[1]["text"] == "ab cd"


def test_the_openapi_document_names_the_paths_and_needs_no_other_host(server: Running) -> None:
    document = server.client.get("/openapi.json").json()
    assert {"/v1/audio/transcriptions", "/v1/models", "/readyz", "/metrics"} <= document["paths"].keys()
    for path in ("/", "/docs", "/main.js", "/docs.js", "/style.css"):
        page = server.client.get(path)
        assert page.status_code == 200
        assert "http://" not in page.text.replace("http://www.w3.org", "")
        assert "https://" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
