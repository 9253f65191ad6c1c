"""Frames, uploads, batches and answers."""

import asyncio
import io
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
import soundfile

from steno.decoding.transcript import Transcript, Word
from steno.errors import AudioError
from steno.runtime import Recognizer
from steno.serving.answers import Answer, events, segments, verbose
from steno.serving.config import ServeConfig
from steno.serving.decode import TooLongError, admit
from steno.serving.filepool import FilePool
from steno.serving.filework import batches
from steno.serving.live_protocol import read_command, read_config
from steno.serving.metrics import Metrics
from steno.serving.problems import ApiError
from steno.serving.process import Process
from steno.serving.spawn import _harmless
from steno.serving.streampool import Place, Stream
from steno.serving.streamwork import Packets, Pcm16, serve_streams
from steno.serving.wire import Channel, pack
from steno.serving.words import read_transcript, transcript_json

# ---- frames ----


def test_frames_arrive_whole_however_they_are_cut() -> None:
    ours, theirs = socket.socketpair()
    frames = [({"id": n, "do": "audio"}, bytes(range(n))) for n in range(20)]
    data = b"".join(pack(*frame) for frame in frames)
    channel = Channel(theirs)
    heard = []
    for at in range(0, len(data), 7):
        ours.sendall(data[at : at + 7])
        heard += channel.receive(0)
    assert heard == frames
    assert not channel.closed
    ours.close()
    assert channel.receive() == []
    assert channel.closed
    theirs.close()


# ---- uploads ----


def encoded(seconds: float = 1.0, rate: int = 16_000, channels: int = 1, form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((int(seconds * rate), channels)), rate, format=form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "AU"])
def test_what_libsndfile_reads_stays_as_it_is(form: str) -> None:
    data = encoded(form=form)
    same, seconds = admit(data, 60)
    assert same is data
    assert seconds == pytest.approx(1, abs=0.1)


def test_a_small_file_that_expands_is_refused_before_it_is_decoded() -> None:
    bomb = encoded(3000, form="FLAC")
    assert len(bomb) < 200_000
    with pytest.raises(TooLongError, match="longer than 600 s"):
        admit(bomb, 600)


@pytest.mark.parametrize(("rate", "channels"), [(1_000, 1), (500_000, 1), (16_000, 17)])
def test_strange_rates_and_channels_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(AudioError, match=f"{channels} channels at {rate} Hz"):
        admit(encoded(0.1, rate, channels), 600)


def test_a_header_that_lies_about_its_length_claims_no_memory() -> None:
    data = bytearray(encoded())
    data[40:44] = struct.pack("<I", 0xFFFFFF00)
    _, seconds = admit(bytes(data), 60)
    assert seconds == pytest.approx(1)


def video(seconds: float, container: str, codec: str, rate: int = 48_000, format: str = "fltp") -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)
        for at in range(0, len(tone), 960):
            frame = av.AudioFrame.from_ndarray(tone[None, at : at + 960], format=format, layout="mono")
            frame.sample_rate, frame.pts = rate, at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus"), ("adts", "aac")])
def test_what_only_ffmpeg_reads_becomes_wav(container: str, codec: str) -> None:
    wav, seconds = admit(video(1.0, container, codec), 60)
    samples, rate = soundfile.read(io.BytesIO(wav))
    assert rate == 48_000
    assert seconds == pytest.approx(len(samples) / rate)
    assert seconds == pytest.approx(1, abs=0.1)
    assert np.abs(samples).max() == pytest.approx(0.3, abs=0.2)


def test_a_small_file_of_a_high_rate_does_not_become_a_large_one() -> None:
    wav, seconds = admit(video(1.0, "matroska", "pcm_f32le", rate=192_000, format="flt"), 60)
    samples, rate = soundfile.read(io.BytesIO(wav))
    assert rate == 48_000
    assert seconds == pytest.approx(1)
    assert len(samples) == pytest.approx(rate, abs=100)
    assert np.abs(samples[1000:-1000]).max() == pytest.approx(0.3, abs=0.02)


def test_ffmpeg_stops_at_the_limit() -> None:
    with pytest.raises(TooLongError):
        admit(video(3.0, "mp4", "aac"), 2)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"\0\0\0\x20ftypM4A ", b"\x1a\x45\xdf\xa3junk", b"\xff\xf1" + b"x" * 50]
)
def test_what_is_no_recording_is_an_audio_error(data: bytes) -> None:
    with pytest.raises(AudioError):
        admit(data, 60)


def test_batches_go_from_short_to_long() -> None:
    uploads = [(n, b"", seconds) for n, seconds in enumerate((50.0, 3.0, 30.0, 100.0, 20.0))]
    assert [[number for number, _, _ in batch] for batch in batches(uploads, 60)] == [[1, 4, 2], [0], [3]]


# ---- streams ----


def test_pcm_and_opus_frames_become_samples() -> None:
    import av

    assert Pcm16(8_000).decode(b"\x00\x80\xff\x7f").tolist() == [-32768, 32767]
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "flt"
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.float32)
    packets = []
    for at in range(0, len(tone), 960):
        frame = av.AudioFrame.from_ndarray(tone[None, at : at + 960], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48_000, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    decoder = Packets("opus", 48_000, "an Opus packet")
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    assert len(heard) == pytest.approx(48_000, abs=2_000)
    assert np.abs(heard[4_800:]).max() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '{"type": "finish"}', '{"type": "config", "rate": 1}'])
def test_the_first_message_has_to_be_a_configuration(text: str | None) -> None:
    with pytest.raises(ApiError) as told:
        read_config(text)
    assert told.value.code == "invalid_config"


@pytest.mark.parametrize("rate", [0, 1, 7_999, 96_001, 1e9, "16k", None])
def test_rates_that_no_speech_has_are_refused(rate: object) -> None:
    with pytest.raises(ApiError, match="sample_rate"):
        read_config(json.dumps({"type": "config", "sample_rate": rate}))


def test_only_finish_is_a_command() -> None:
    read_command('{"type": "finish"}')
    with pytest.raises(ApiError, match="type"):
        read_command('{"type": "stop"}')


# ---- answers ----


def answer(words: int, gap: float = 0.1) -> Answer:
    said = tuple(Word(f"word{n}", n * (0.4 + gap), n * (0.4 + gap) + 0.4, 0.9) for n in range(words))
    return Answer(Transcript(" ".join(word.text for word in said), said), words * (0.4 + gap), "en")


@pytest.mark.parametrize("words", [0, 1, 5, 40])
def test_segments_hold_every_word_once_and_deltas_join_to_the_text(words: int) -> None:
    heard = answer(words)
    assert [word for segment in segments(heard.transcript) for word in segment] == list(heard.transcript.words)
    *deltas, done = events(heard)
    assert "".join(said["delta"] for said in deltas) == done["text"] == heard.transcript.text


def test_verbose_json_has_what_was_asked_for() -> None:
    assert verbose(answer(3), {"word"}).keys() & {"words", "segments"} == {"words"}
    both = verbose(answer(3), {"word", "segment"})
    assert [word["word"] for word in both["words"]] == ["word0", "word1", "word2"]
    assert both["segments"][0]["avg_logprob"] == pytest.approx(-0.105, abs=0.001)


def test_a_transcript_survives_its_way_as_json() -> None:
    heard = answer(4).transcript
    assert transcript_json(read_transcript(transcript_json(heard))) == transcript_json(heard)


# ---- workers ----


class Fake(Process):
    """A worker that answers when it is told to."""

    pid = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.answers: asyncio.Queue = asyncio.Queue()
        self.stopped = asyncio.Event()

    def send(self, head: dict, body: bytes = b"") -> None:
        self.sent.append(head["id"])

    async def receive(self) -> Any:
        return await self.answers.get()

    async def gone(self) -> None:
        await self.stopped.wait()

    async def stop(self, patience: float = 0.0) -> None:
        self.stopped.set()


def with_fake_workers(scene: Callable[[FilePool, list[Fake]], Awaitable[None]]) -> None:
    async def play() -> None:
        workers: list[Fake] = []

        async def start() -> Fake:
            workers.append(Fake())
            return workers[-1]

        pool = FilePool(Path("none"), ServeConfig(names=("x",), workers=1), 1, Metrics())
        pool._start = start  # type: ignore[assignment]
        await pool.start()
        try:
            await scene(pool, workers)
        finally:
            await pool.abandon()

    asyncio.run(asyncio.wait_for(play(), 20))


async def answered_by_the_next(pool: FilePool, workers: list[Fake]) -> None:
    """Another worker has taken the place of the first, and works."""
    job = pool.submit(io.BytesIO(b"2"), 1, monotonic() + 15)
    while len(workers) < 2 or not workers[1].sent:
        await asyncio.sleep(0.01)
    await workers[1].answers.put(({"id": job.number, "text": "ab"}, b""))
    assert (await job.answer)["text"] == "ab"


def test_who_is_late_costs_the_others_of_the_batch_nothing() -> None:
    async def scene(pool: FilePool, workers: list[Fake]) -> None:
        late = pool.submit(io.BytesIO(b"1"), 1, monotonic() + 0.2)
        other = pool.submit(io.BytesIO(b"2"), 1, monotonic() + 15)
        with pytest.raises(ApiError, match="longer than the server allows"):
            await late.answer
        assert not other.answer.done()
        assert workers[0].sent == [late.number, other.number]
        await workers[0].answers.put(({"id": late.number, "text": "too late"}, b""))
        await workers[0].answers.put(({"id": other.number, "text": "ab"}, b""))
        assert (await other.answer)["text"] == "ab"
        assert not workers[0].stopped.is_set()

    with_fake_workers(scene)


def test_a_worker_for_which_nobody_waits_any_more_is_replaced() -> None:
    async def scene(pool: FilePool, workers: list[Fake]) -> None:
        late = pool.submit(io.BytesIO(b"1"), 1, monotonic() + 0.2)
        with pytest.raises(ApiError, match="longer than the server allows"):
            await late.answer
        await workers[0].stopped.wait()
        await answered_by_the_next(pool, workers)

    with_fake_workers(scene)


def test_an_upload_that_its_client_has_left_costs_no_worker() -> None:
    async def scene(pool: FilePool, workers: list[Fake]) -> None:
        left, there = io.BytesIO(b"1"), io.BytesIO(b"2")
        gone = pool.submit(left, 1, monotonic() + 15)
        left.close()
        job = pool.submit(there, 1, monotonic() + 15)
        while not workers[0].sent:
            await asyncio.sleep(0.01)
        await workers[0].answers.put(({"id": job.number, "text": "ab"}, b""))
        assert (await job.answer)["text"] == "ab"
        assert gone.answer.done()
        assert isinstance(gone.answer.exception(), ApiError)

    with_fake_workers(scene)


def test_a_batch_that_nobody_thought_of_fails_alone() -> None:
    async def scene(pool: FilePool, workers: list[Fake]) -> None:
        job = pool.submit(io.BytesIO(b"1"), 1, monotonic() + 15)
        while not workers[0].sent:
            await asyncio.sleep(0.01)
        await workers[0].answers.put(("no frame", b""))
        with pytest.raises(ApiError, match="log says why"):
            await job.answer
        await answered_by_the_next(pool, workers)

    with_fake_workers(scene)


def test_a_client_that_leaves_the_queue_does_not_hold_up_the_one_before() -> None:
    async def scene(pool: FilePool, workers: list[Fake]) -> None:
        job = pool.submit(io.BytesIO(b"1"), 1, monotonic() + 15)
        gone = pool.submit(io.BytesIO(b"2"), 1, monotonic() + 15)
        gone.answer.cancel()
        while not workers[0].sent:
            await asyncio.sleep(0.01)
        assert workers[0].sent == [job.number]
        await workers[0].answers.put(({"id": job.number, "text": "ab"}, b""))
        assert (await job.answer)["text"] == "ab"

    with_fake_workers(scene)


def test_nothing_is_sent_to_a_stream_after_its_end() -> None:
    async def play() -> None:
        worker, place = Fake(), Place()
        place.worker = worker
        sent: list[str] = []
        worker.send = lambda head, body=b"": sent.append(head["do"])  # type: ignore[method-assign]
        stream = Stream(7, place, bytes_a_second=1.0)
        await stream.feed(b"x" * 100)  # far more than may wait
        waiting = asyncio.create_task(stream.feed(b"y"))
        await asyncio.sleep(0)
        stream.finish()
        stream.taken(100)
        await waiting
        assert sent == ["audio", "finish"]

    asyncio.run(asyncio.wait_for(play(), 20))


class Script:
    """A channel that says what is written down, and keeps what it is told."""

    def __init__(self, *turns: list[tuple[dict, bytes]]) -> None:
        self.turns, self.heard = list(turns), []

    @property
    def closed(self) -> bool:
        return not self.turns

    def receive(self, timeout: float | None) -> list[tuple[dict, bytes]]:
        return self.turns.pop(0)

    def send(self, said: dict) -> None:
        self.heard += said["said"]


def test_a_stream_that_fails_costs_no_other(model: Path) -> None:
    settings = {"encoding": "pcm16", "sample_rate": 8000, "endpointing": True, "pause": None}
    half_a_second = b"\0\0" * 4000
    channel = Script(
        [({"do": "open", "id": number, **settings}, b"") for number in (1, 2)],
        [({"do": "finish", "id": 1}, b""), ({"do": "audio", "id": 1}, half_a_second)],
        [({"do": "audio", "id": 2}, half_a_second), ({"do": "finish", "id": 2}, b"")],
        *([] for _ in range(20)),
    )
    serve_streams(channel, Recognizer(model, threads=1), 60.0)  # type: ignore[arg-type]
    ends = dict(channel.heard)
    assert ends[1]["problem"]["code"] == "internal_error"
    assert ends[2] == {"type": "done"}


def test_who_waits_too_long_is_told_without_a_worker() -> None:
    async def scene(pool: FilePool, workers: list[Fake]) -> None:
        async def never() -> Fake:
            await asyncio.sleep(60)
            raise AssertionError

        pool._start = never  # type: ignore[assignment]
        workers[0].stopped.set()
        while pool.ready:
            await asyncio.sleep(0.01)
        with pytest.raises(ApiError, match="longer than the server allows"):
            await pool.submit(io.BytesIO(b"1"), 1, monotonic() + 0.1).answer

    with_fake_workers(scene)


def test_a_worker_whose_clients_have_all_left_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steno.serving.filepool.PATIENCE", 0.1)

    async def scene(pool: FilePool, workers: list[Fake]) -> None:
        gone = pool.submit(io.BytesIO(b"1"), 1, monotonic() + 60)
        while not workers[0].sent:
            await asyncio.sleep(0.01)
        gone.answer.cancel()
        await workers[0].stopped.wait()
        await answered_by_the_next(pool, workers)

    with_fake_workers(scene)


def test_a_worker_knows_no_secrets() -> None:
    given = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "a",
        "STENO_API_KEYS": "b",
        "MLFLOW_TRACKING_URI": "c",
        "HOME": "/",
    }
    assert _harmless(given) == {"PATH": "/bin", "HOME": "/"}
