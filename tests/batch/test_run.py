"""Parts, stops, going on, failures and tables, with an engine in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from engines import InProcess

from steno import audio
from steno.batch import source as sources
from steno.batch.merge import Counts, failed_path, parts_path
from steno.batch.plan import Plan
from steno.batch.run import Job, transcribe_all
from steno.batch.source import open_source
from steno.batch.worker import Model, describe, packed
from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.decoding.options import DecodingOptions
from steno.errors import DecodingError, StenoError
from steno.runtime import Recognizer
from steno.runtime.bundled import DEFAULT, folder


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few utterances: of the tones each lasts a second or so."""
    monkeypatch.setattr(sources, "PART_SECONDS", 5.0)
    monkeypatch.setattr(sources, "PART_FILES", 4)


@pytest.fixture
def engine(model: Path) -> Callable[..., InProcess]:
    """An engine with the tones' recogniser."""
    sent, name, _ = describe(model, DecodingOptions())
    return lambda **wishes: InProcess(sent, name, **wishes)


def job(text: object, out: Path, model: str = "tiny", **decoding: Any) -> Job:
    source = open_source(str(text))
    return Job(source, out, Plan(source.digest, len(source), source.parts, model, decoding))


def run(job: Job, engine: InProcess) -> tuple[Counts, list[tuple[int, float]]]:
    told: list[tuple[int, float]] = []
    counts = transcribe_all(job, engine.start, lambda count, seconds: told.append((count, seconds)))
    return counts, told


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_manifest_becomes_a_table_in_its_order(
    suffix: str, tones: Path, model: Path, engine: Callable[..., InProcess], tmp_path: Path
) -> None:
    out = tmp_path / f"texts{suffix}"
    manifest = list(Manifest(tones / "train.jsonl"))
    counts, told = run(job(tones / "train.jsonl", out), engine())
    found = rows(out)
    assert [row["id"] for row in found] == [utterance.id for utterance in manifest]
    assert [row["file"] for row in found] == [str(utterance.audio) for utterance in manifest]
    expected = Recognizer(model).transcribe([audio.load(utterance.audio) for utterance in manifest])
    assert [row["text"] for row in found] == [transcript.text for transcript in expected]
    assert [[word["word"] for word in row["words"]] for row in found] == [row["text"].split() for row in found]
    for row, utterance, transcript in zip(found, manifest, expected, strict=True):
        assert row["duration"] == pytest.approx(utterance.duration, abs=1e-3)
        assert row["confidence"] == pytest.approx(transcript.confidence, abs=1e-3)
        assert row["words"][0]["start"] == pytest.approx(transcript.words[0].start, abs=1e-3)
    assert {row["model"] for row in found} == {engine().name}
    assert "alternatives" not in found[0]
    assert (counts.done, counts.failed) == (24, 0)
    assert counts.seconds == pytest.approx(sum(utterance.duration for utterance in manifest), abs=0.1)
    assert len(told) > 3
    assert sum(count for count, _ in told) == 24
    assert sum(seconds for _, seconds in told) == pytest.approx(counts.seconds, abs=0.1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name]


def test_stopped_anywhere_it_goes_on_and_nothing_is_done_twice(
    tones: Path, engine: Callable[..., InProcess], tmp_path: Path
) -> None:
    out, whole = tmp_path / "texts.jsonl", tmp_path / "whole.jsonl"
    run(job(tones / "train.jsonl", whole), engine())
    done: list[str] = []
    for stop in (1, 2):
        stopped = engine(stops_after=stop)
        with pytest.raises(KeyboardInterrupt):
            run(job(tones / "train.jsonl", out), stopped)
        assert not out.exists()
        done += stopped.transcribed
    # A part that was being written when the power failed.
    (parts_path(out) / ".part-000004.parquet").write_bytes(b"PAR1")
    last = engine()
    _, told = run(job(tones / "train.jsonl", out), last)
    done += last.transcribed
    assert sorted(done) == sorted(row["id"] for row in rows(whole))
    assert sum(count for count, _ in told) == 24
    assert out.read_bytes() == whole.read_bytes()
    assert not parts_path(out).exists()


def test_when_every_part_is_there_no_engine_is_started(
    tones: Path, engine: Callable[..., InProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "texts.parquet"

    def full(*_: object) -> None:
        raise StenoError("no room for the table")

    with monkeypatch.context() as patch:
        patch.setattr("steno.batch.run.merge", full)
        with pytest.raises(StenoError, match="no room"):
            run(job(tones / "dev.jsonl", out), engine())
    second = engine()
    counts, _ = run(job(tones / "dev.jsonl", out), second)
    assert (counts.done, second.starts) == (6, 0)


def test_failures_have_their_own_table_with_the_reason(engine: Callable[..., InProcess], tmp_path: Path) -> None:
    import tiny

    for n in range(9):
        tiny.record(tmp_path / "in" / f"take-{n}.wav", "ab ba", n)
    (tmp_path / "in" / "take-3.wav").write_bytes(b"nothing")
    (tmp_path / "in" / "take-7.wav").write_bytes(b"")
    out = tmp_path / "texts.jsonl"
    counts, _ = run(job(tmp_path / "in", out), engine())
    assert (counts.done, counts.failed) == (7, 2)
    failed = rows(failed_path(out))
    assert [row["id"] for row in failed] == ["take-3", "take-7"]
    assert [set(row) for row in failed] == [{"id", "file", "error", "hint"}] * 2
    assert "cannot be decoded" in failed[0]["error"]
    assert "the file is empty" in failed[1]["error"]
    assert [row["id"] for row in rows(out)] == [f"take-{n}" for n in (0, 1, 2, 4, 5, 6, 8)]
    assert failed_path(tmp_path / "texts.parquet").name == "texts.failed.parquet"


def test_what_kills_its_worker_fails_alone(tones: Path, engine: Callable[..., InProcess], tmp_path: Path) -> None:
    out = tmp_path / "texts.parquet"
    counts, _ = run(
        job(tones / "train.jsonl", out),
        engine(dies_on=frozenset({"train-05"}), fails_on=frozenset({"train-06", "train-20"})),
    )
    assert (counts.done, counts.failed) == (21, 3)
    told = {row["id"]: row["error"] for row in rows(failed_path(out))}
    assert told == {
        "train-05": "the process that transcribed it died",
        "train-06": "out of memory",
        "train-20": "out of memory",
    }
    assert [row["id"] for row in rows(out)] == [f"train-{n:02d}" for n in range(24) if n not in (5, 6, 20)]


def test_when_nothing_works_it_is_not_the_recordings_fault(
    tones: Path, engine: Callable[..., InProcess], tmp_path: Path
) -> None:
    every = frozenset(utterance.id for utterance in Manifest(tones / "dev.jsonl"))
    with pytest.raises(StenoError, match="no recording could be transcribed: out of memory"):
        run(job(tones / "dev.jsonl", tmp_path / "texts.jsonl"), engine(fails_on=every))
    with pytest.raises(StenoError, match="the workers died"):
        run(job(tones / "dev.jsonl", tmp_path / "texts.jsonl"), engine(dies_on=every))


def test_parts_of_another_job_are_not_mixed_in(tones: Path, engine: Callable[..., InProcess], tmp_path: Path) -> None:
    out = tmp_path / "texts.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(job(tones / "train.jsonl", out), engine(stops_after=1))
    for other, said in (
        (job(tones / "dev.jsonl", out), "the recordings changed"),
        (job(tones / "train.jsonl", out, "better"), "the model changed"),
        (job(tones / "train.jsonl", out, beam=4), "the decoding options changed"),
    ):
        with pytest.raises(StenoError, match=said) as told:
            run(other, engine())
        assert "--to" in told.value.hint


def test_a_table_that_is_there_is_not_overwritten(
    tones: Path, engine: Callable[..., InProcess], tmp_path: Path
) -> None:
    out = tmp_path / "texts.jsonl"
    out.write_text("mine")
    with pytest.raises(StenoError, match="is there already"):
        run(job(tones / "dev.jsonl", out), engine())
    assert out.read_text() == "mine"
    with pytest.raises(StenoError, match=r"\.parquet or \.jsonl"):
        run(job(tones / "dev.jsonl", tmp_path / "texts.csv"), engine())


def test_a_damaged_part_is_named(tones: Path, engine: Callable[..., InProcess], tmp_path: Path) -> None:
    out = tmp_path / "texts.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(job(tones / "train.jsonl", out), engine(stops_after=2))
    part = parts_path(out) / "part-000000.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(StenoError, match=r"part-000000\.parquet: is damaged"):
        run(job(tones / "train.jsonl", out), engine())
    part.unlink()
    assert run(job(tones / "train.jsonl", out), engine())[0].done == 24


def test_two_runs_at_once_are_refused(tones: Path, engine: Callable[..., InProcess], tmp_path: Path) -> None:
    from steno.batch.parts import parts_at

    out = tmp_path / "texts.jsonl"
    with parts_at(parts_path(out)).held(), pytest.raises(StenoError, match="another steno batch"):
        run(job(tones / "dev.jsonl", out), engine())


def test_long_recordings_are_cut_and_joined(engine: Callable[..., InProcess], tmp_path: Path) -> None:
    import numpy as np
    import soundfile
    import tiny

    parts = [piece for n in range(20) for piece in (tiny.speak("abc dab cad", n), np.zeros(8000, dtype=np.float32))]
    samples = np.concatenate(parts)
    soundfile.write(tmp_path / "long.flac", samples, tiny.RATE)
    out = tmp_path / "texts.jsonl"
    run(job(tmp_path / "long.flac", out), engine())
    (row,) = rows(out)
    assert row["duration"] == pytest.approx(len(samples) / tiny.RATE, abs=0.01)
    assert row["duration"] > 40
    starts = [word["start"] for word in row["words"]]
    assert starts == sorted(starts)
    assert starts[-1] > 35


def test_other_hypotheses_have_a_column(tones: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("flashlight.lib.text")
    options = DecodingOptions(nbest=3, hotwords=("abc:2.5",))
    sent, name, settled = describe(model, options)
    assert settled["hotwords"] == ("abc:2.5",)
    source = open_source(str(tones / "dev.jsonl"))
    plan = Plan(source.digest, len(source), source.parts, name, settled)
    out = tmp_path / "texts.jsonl"
    run(Job(source, out, plan, nbest=3), InProcess(sent, name))
    found = rows(out)
    assert all(len(row["alternatives"]) >= 1 for row in found)
    assert set(found[0]["alternatives"][0]) == {"text", "score"}


def test_what_is_sent_needs_no_files_of_this_machine(model: Path, tones: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("abc\nbad:1.5\n")
    sent, _, settled = describe(model, DecodingOptions(hotwords=(f"@{words}",)))
    assert settled["hotwords"] == ("abc:4.0", "bad:1.5")
    elsewhere = packed(Model(sent.folder, DecodingOptions()))
    assert elsewhere.files is not None
    assert set(elsewhere.files) == {"config.yaml", "model.onnx"}
    moved = Model("/nowhere", elsewhere.options, elsewhere.files)
    samples = audio.load(next(iter(Manifest(tones / "dev.jsonl"))).audio)
    assert moved.load().transcribe([samples]) == Recognizer(model).transcribe([samples])
    with pytest.raises(DecodingError):
        describe(model, DecodingOptions(method="greedy", hotwords=("abc",)))


def test_a_second_pass_is_sent_along(tones: Path) -> None:
    pytest.importorskip("flashlight.lib.text")
    bundled = folder(DEFAULT)
    assert bundled is not None
    sent, _, _ = describe(bundled, DecodingOptions())
    there = Model("/nowhere", sent.options, packed(sent).files)
    assert there.files is not None
    assert {"lm.bin", "pronunciations.tsv.gz", "neural-lm.onnx"} < set(there.files)
    samples = audio.load(next(iter(Manifest(tones / "dev.jsonl"))).audio, 16_000)
    assert there.load().transcribe([samples]) == Recognizer(bundled).transcribe([samples])


def test_ids_of_recordings_by_name(tones: Path, tmp_path: Path) -> None:
    import tiny

    for name in ("one/a.wav", "two/a.wav", "two/b.wav"):
        tiny.record(tmp_path / name, "ab")
    source = open_source(str(tmp_path))
    items = [item for part in range(source.parts) for item in source.items(part)]
    assert [item.id for item in items] == [str(tmp_path / "one/a.wav"), str(tmp_path / "two/a.wav"), "b"]
    assert [item.file for item in open_source(f"{tmp_path}/*/b.wav").items(0)] == [str(tmp_path / "two/b.wav")]
    with pytest.raises(StenoError, match="there is no recording in it"):
        open_source(str(tmp_path / "*.flac"))
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(StenoError, match="neither a recording nor a manifest"):
        open_source(str(tmp_path / "notes.txt"))


def test_recordings_of_a_manifest_may_be_gone(engine: Callable[..., InProcess], tmp_path: Path) -> None:
    import tiny

    good = tiny.record(tmp_path / "a.wav", "ab")
    write_manifest(tmp_path / "m.jsonl", [good, Utterance("gone", tmp_path / "gone.wav", 1.0)])
    out = tmp_path / "texts.jsonl"
    assert run(job(tmp_path / "m.jsonl", out), engine())[0] == Counts(1, 1, pytest.approx(good.duration, abs=0.01))
    assert "no such file" in rows(failed_path(out))[0]["error"]


def test_shards_are_a_source_like_their_manifest(tones: Path, engine: Callable[..., InProcess], tmp_path: Path) -> None:
    from steno.data.shards.write import shard

    shard(Manifest(tones / "dev.jsonl"), tmp_path / "shards", size=100_000)
    texts = {}
    for name, text in (("plain", tones / "dev.jsonl"), ("sharded", tmp_path / "shards")):
        run(job(text, tmp_path / f"{name}.jsonl"), engine())
        texts[name] = {row["id"]: row["text"] for row in rows(tmp_path / f"{name}.jsonl")}
    assert texts["sharded"] == texts["plain"]
