"""Recordings from, and tables to, an S3 store on loopback."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import InProcess

from steno.batch import source as sources
from steno.batch.merge import failed_path, parts_path
from steno.batch.plan import Plan
from steno.batch.run import Job, transcribe_all
from steno.batch.source import open_source
from steno.batch.worker import describe
from steno.decoding.options import DecodingOptions
from steno.errors import StenoError
from steno.storage import objects
from steno.storage.location import parse

ROOT = "s3://batch"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An empty bucket of moto's server."""
    pytest.importorskip("s3fs")
    import boto3
    from moto.server import ThreadedMotoServer

    for name in list(os.environ):
        if name.startswith(("AWS_", "FSSPEC_")):
            monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    boto3.client("s3").create_bucket(Bucket="batch")
    monkeypatch.setattr(sources, "PART_FILES", 4)
    yield ROOT
    server.stop()


def names(place: str) -> set[str]:
    return set(objects.below(parse(place)))


def test_from_a_store_to_a_store_with_a_stop(bucket: str, tones: Path, model: Path, tmp_path: Path) -> None:
    files = sorted((tones / "train").glob("*.wav"))[:10]
    for path in files:
        objects.write_bytes(f"{bucket}/in/day/{path.name}", path.read_bytes())
    objects.write_bytes(f"{bucket}/in/bad.wav", b"nothing")
    sent, name, _ = describe(model, DecodingOptions())

    def job(text: str, out: str) -> Job:
        source = open_source(text)
        return Job(source, Path(out), Plan(source.digest, len(source), source.parts, name, {}))

    def run(text: str, out: str, engine: InProcess) -> None:
        transcribe_all(job(text, out), engine.start, lambda count, seconds: None)

    out = f"{bucket}/out/texts.jsonl"
    stopped, second = InProcess(sent, name, stops_after=1), InProcess(sent, name)
    with pytest.raises(KeyboardInterrupt):
        run(f"{bucket}/in", out, stopped)
    assert names(f"{bucket}/out") == {"texts.jsonl.parts/plan.json", "texts.jsonl.parts/part-000000.parquet"}
    run(f"{bucket}/in", out, second)
    assert names(f"{bucket}/out") == {"texts.jsonl", "texts.failed.jsonl"}
    assert len(stopped.transcribed) == 4
    assert sorted(stopped.transcribed + second.transcribed) == ["bad", *(path.stem for path in files)]
    with pytest.raises(StenoError, match="is there already"):
        run(f"{bucket}/in", out, second)

    here = tmp_path / "texts.jsonl"
    run(str(tones / "train"), str(here), InProcess(sent, name))
    texts = {row.split('"text":')[1].split('"words"')[0] for row in here.read_text().splitlines()[:10]}
    place = parse(out)
    there = b"".join(objects.blocks(place, objects.describe(place).size)).decode()
    assert {row.split('"text":')[1].split('"words"')[0] for row in there.splitlines()} == texts
    assert "s3://batch/in/day/train-00.wav" in there
    assert failed_path(Path(out)).name == "texts.failed.jsonl"
    assert parts_path(Path(out)).name == "texts.jsonl.parts"


def test_globs_in_a_store(bucket: str) -> None:
    for key in ("a/one.wav", "a/two.flac", "a/deep/three.wav", "b/four.wav", "a/notes.txt"):
        objects.write_bytes(f"{bucket}/{key}", b"x")

    def found(pattern: str) -> list[str]:
        source = open_source(f"{bucket}/{pattern}")
        return [item.id for part in range(source.parts) for item in source.items(part)]

    assert found("a/*.wav") == ["one"]
    assert found("a/**/*.wav") == ["three", "one"]
    assert found("?/*") == ["one", "two", "four"]
    with pytest.raises(StenoError, match="no recording that matches"):
        open_source(f"{bucket}/c/*.wav")
