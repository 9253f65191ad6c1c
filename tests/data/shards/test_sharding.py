"""Shards: every utterance once, readable by WebDataset, the same to whoever reads a manifest, and clear when broken."""

import errno
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny

from steno import audio
from steno.data.manifest import Manifest, Utterance, read_rows, write_manifest
from steno.data.shards.index import ShardIndex
from steno.data.shards.layout import INDEX, LEFT_OUT
from steno.data.shards.size import parse_size
from steno.data.shards.tar import TarWriter
from steno.data.shards.write import shard
from steno.errors import AudioError, ManifestError, StenoError, StorageError
from steno.storage.members import is_member

SIZE = 180_000


@pytest.fixture
def sharded(tones: Path, tmp_path: Path) -> Path:
    """The tones in several shards."""
    shard(Manifest(tones / "train.jsonl"), tmp_path / "shards", size=SIZE)
    return tmp_path / "shards"


def same_but_for_the_place(one: Utterance, other: Utterance) -> bool:
    return (one.id, one.text, one.speaker, one.extra) == (other.id, other.text, other.speaker, other.extra)


def test_shards_are_a_manifest(sharded: Path, tones: Path) -> None:
    plain, shards = Manifest(tones / "train.jsonl"), Manifest(sharded)
    assert len(shards) == len(plain)
    np.testing.assert_array_equal(shards.durations, plain.durations)
    assert shards.hours == pytest.approx(plain.hours)
    assert plain.shard_starts is None
    assert shards.shard_starts is not None
    assert len(shards.shard_starts) >= 5
    for index, (one, other) in enumerate(zip(plain, shards, strict=True)):
        assert same_but_for_the_place(one, other)
        assert shards[index] == other
        assert is_member(other.audio)
        assert other.audio.suffix == ".wav"
        np.testing.assert_array_equal(audio.load(one.audio), audio.load(other.audio))
    assert audio.duration(shards[3].audio) == pytest.approx(plain[3].duration)
    assert shards[-1] == shards[len(shards) - 1]
    with pytest.raises(IndexError):
        shards[len(shards)]
    assert Manifest(sharded / INDEX).path == shards.path == sharded
    assert Manifest(sharded / INDEX).digest == shards.digest


def test_no_shard_is_larger_than_asked(sharded: Path) -> None:
    index = ShardIndex(sharded)
    assert all(one.bytes == (sharded / one.name).stat().st_size <= SIZE for one in index.shards)
    assert sum(one.utterances for one in index.shards) == len(index)


def test_equal_input_gives_equal_bytes(sharded: Path, tones: Path, tmp_path: Path) -> None:
    shard(Manifest(tones / "train.jsonl"), tmp_path / "again", size=SIZE)
    names = sorted(path.name for path in sharded.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    assert all((sharded / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)


def test_the_index_goes_to_worker_processes(sharded: Path) -> None:
    manifest = Manifest(sharded)
    copy = pickle.loads(pickle.dumps(manifest))  # noqa: S301 (our own bytes)
    assert copy[5] == manifest[5]
    assert len(pickle.dumps(manifest._rows)) < 1000


def test_shards_can_be_moved_and_named_relatively(sharded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded.rename(sharded.with_name("moved"))
    monkeypatch.chdir(sharded.parent)
    assert len(audio.load(Manifest("moved")[0].audio))
    monkeypatch.chdir(sharded.parent / "moved")
    manifest = Manifest(INDEX)
    assert manifest.path.name == "moved"
    assert len(audio.load(manifest[7].audio))


def test_webdataset_reads_them(sharded: Path, tones: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    urls = [str(path) for path in sorted(sharded.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    for utterance, sample in zip(Manifest(tones / "train.jsonl"), samples, strict=True):
        assert sample["json"]["id"] == utterance.id
        assert sample["json"]["text"] == utterance.text
        assert sample["wav"] == utterance.audio.read_bytes()


def test_tar_reads_them(sharded: Path) -> None:
    with tarfile.open(sharded / "000000.tar") as tar:
        names = tar.getnames()
    assert names[:2] == ["000000000_train-00.json", "000000000_train-00.wav"]


@pytest.mark.parametrize("encoding", ["flac", "opus"])
def test_recordings_are_written_anew(encoding: Any, tones: Path, tmp_path: Path) -> None:
    manifest = Manifest(tones / "dev.jsonl")
    shard(manifest, tmp_path / "shards", encoding=encoding)
    for one, other in zip(manifest, Manifest(tmp_path / "shards"), strict=True):
        assert other.audio.suffix == f".{encoding}"
        before, after = audio.load(one.audio), audio.load(other.audio)
        assert len(before) == len(after)
        # FLAC has 16 bits, as the recordings; Opus is not exact.
        np.testing.assert_allclose(after, before, atol=0 if encoding == "flac" else 0.2)
    if encoding == "opus":
        seconds = float(manifest.durations.sum())
        with tarfile.open(tmp_path / "shards" / "000000.tar") as tar:
            members = tar.getmembers()
        kilobits = 8 * sum(one.size for one in members if one.name.endswith(".opus")) / seconds / 1000
        assert 10 < kilobits < 50


@pytest.mark.parametrize("encoding", ["as-is", "flac"])
def test_parts_of_recordings_are_cut_out(encoding: Any, tmp_path: Path) -> None:
    samples = np.random.default_rng(5).normal(0, 0.1, (5 * 8000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "call.wav", samples, 8000)
    rows = [
        Utterance("one", tmp_path / "call.wav#t=0,1.5&channel=1", 1.5, "a"),
        Utterance("two", tmp_path / "call.wav#t=2,4", 2.0, "b"),
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    shard(Manifest(tmp_path / "m.jsonl"), tmp_path / "shards", encoding=encoding)
    found = list(Manifest(tmp_path / "shards"))
    assert [row.audio.suffix for row in found] == [".flac", ".flac"]
    for row, whole in zip(found, rows, strict=True):
        assert (row.id, row.duration, row.text) == (whole.id, whole.duration, whole.text)
        np.testing.assert_allclose(audio.load(row.audio), audio.load(whole.audio), atol=1e-3)


def test_shuffled_is_another_order_of_the_same(sharded: Path, tones: Path, tmp_path: Path) -> None:
    plain = [utterance.id for utterance in Manifest(tones / "train.jsonl")]
    for name in ("one", "two"):
        shard(Manifest(tones / "train.jsonl"), tmp_path / name, shuffle=True)
    mixed = [utterance.id for utterance in Manifest(tmp_path / "one")]
    assert mixed != plain
    assert sorted(mixed) == sorted(plain)
    assert mixed == [utterance.id for utterance in Manifest(tmp_path / "two")]


def test_ids_of_any_kind(tones: Path, tmp_path: Path) -> None:
    recording = Manifest(tones / "dev.jsonl")[0].audio
    ids = ["a.b.c", "../../etc/passwd", "grüße ☃", "x" * 300, "same", "same", "-"]
    rows = [Utterance(one, recording, 1.0, f"text {n}", None, {"n": n}) for n, one in enumerate(ids)]
    write_manifest(tmp_path / "m.jsonl", rows)
    shard(Manifest(tmp_path / "m.jsonl"), tmp_path / "shards")
    found = list(Manifest(tmp_path / "shards"))
    assert [one.id for one in found] == ids
    assert [one.extra for one in found] == [{"n": n} for n in range(len(ids))]
    assert all(len(audio.load(one.audio)) for one in found)
    with tarfile.open(tmp_path / "shards" / "000000.tar") as tar:
        names = tar.getnames()
    assert all(name.count(".") == 1 and "/" not in name and len(name) < 100 for name in names)


def test_a_bad_recording_costs_no_other(tones: Path, tmp_path: Path) -> None:
    rows = list(Manifest(tones / "dev.jsonl"))
    (tmp_path / "empty.wav").touch()
    rows[1:1] = [
        Utterance("gone", tmp_path / "gone.wav", 1.0, "a"),
        Utterance("empty", tmp_path / "empty.wav", 1.0, "a"),
    ]
    (tmp_path / "noise.wav").write_bytes(b"noise")
    rows.append(Utterance("noise", tmp_path / "noise.wav", 1.0, "a"))
    write_manifest(tmp_path / "m.jsonl", rows)
    done = shard(Manifest(tmp_path / "m.jsonl"), tmp_path / "shards", encoding="flac")
    assert done.left_out == 3
    assert [one.id for one in Manifest(tmp_path / "shards")] == [one.id for one in Manifest(tones / "dev.jsonl")]
    told = (tmp_path / "shards" / LEFT_OUT).read_text()
    assert "gone: " in told
    assert "no such file" in told
    assert "cannot be decoded" in told
    write_manifest(tmp_path / "none.jsonl", rows[1:2])
    with pytest.raises(ManifestError, match="no recording could be read"):
        shard(Manifest(tmp_path / "none.jsonl"), tmp_path / "none")
    assert not (tmp_path / "none" / INDEX).exists()


# ---- the folder ----------------------------------------------------------------------------------------------------


def test_what_is_there_is_not_overwritten_unasked(sharded: Path, tones: Path) -> None:
    manifest = Manifest(tones / "dev.jsonl")
    with pytest.raises(ManifestError, match="there are shards") as raised:
        shard(manifest, sharded)
    assert "--overwrite" in raised.value.hint
    shard(manifest, sharded, overwrite=True)
    assert len(Manifest(sharded)) == len(manifest)
    assert sorted(path.name for path in sharded.iterdir()) == ["000000.tar", INDEX]
    (sharded / "notes.txt").touch()
    with pytest.raises(ManifestError, match="something else"):
        shard(manifest, sharded, overwrite=True)
    assert len(Manifest(sharded)) == len(manifest)


def test_an_interrupted_sharding_leaves_no_index(tones: Path, tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shard(Manifest(tones / "train.jsonl"), tmp_path / "shards", size=SIZE, progress=stop)
    assert not (tmp_path / "shards" / INDEX).exists()
    assert not list((tmp_path / "shards").glob("*.part"))
    with pytest.raises(ManifestError):
        Manifest(tmp_path / "shards")


def test_a_full_disk_is_told(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: TarWriter, name: str, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(TarWriter, "add", full)
    with pytest.raises(StorageError, match="cannot be written \\(No space left on device\\)"):
        shard(Manifest(tones / "dev.jsonl"), tmp_path / "shards")
    assert not list((tmp_path / "shards").iterdir())


def test_a_missing_or_shortened_shard_is_named(sharded: Path) -> None:
    path = sharded / "000001.tar"
    data = path.read_bytes()
    path.write_bytes(data[:-1000])
    with pytest.raises(ManifestError, match=r"000001\.tar: holds \d+ bytes, its index says \d+"):
        Manifest(sharded)
    path.unlink()
    with pytest.raises(ManifestError, match=r"000001\.tar: No such file"):
        Manifest(sharded)


def test_shards_of_another_index_are_noticed(sharded: Path) -> None:
    manifest = Manifest(sharded)
    utterance = manifest[0]
    (sharded / "000000.tar").write_bytes(bytes((sharded / "000000.tar").stat().st_size))
    other = pickle.loads(pickle.dumps(manifest))  # noqa: S301 (our own bytes)
    with pytest.raises(ManifestError, match="holds another file where"):
        other[0]
    with pytest.raises(AudioError, match="holds another file where"):
        audio.load(utterance.audio)
    rows = dict(read_rows(sharded))
    assert isinstance(rows[1], ManifestError)
    assert isinstance(rows[len(rows)], Utterance)


@pytest.mark.parametrize(
    "data", [b"", b"nonsense that is longer than eight bytes", (2).to_bytes(8, "little") + b"{}", b"\xff" * 64]
)
def test_what_is_no_index_is_refused(data: bytes, sharded: Path) -> None:
    (sharded / INDEX).write_bytes(data)
    with pytest.raises(ManifestError, match="not an index of shards"):
        Manifest(sharded)
    (sharded / INDEX).unlink()
    with pytest.raises(ManifestError, match="No such file"):
        Manifest(sharded / INDEX)


# ---- the commands --------------------------------------------------------------------------------------------------


def test_the_command(steno: Callable[..., Any], tones: Path, tmp_path: Path) -> None:
    done = steno("data", "shard", tones / "train.jsonl", "--to", tmp_path / "shards", "--size", "180kB")
    assert done.code == 0, done.err
    assert "data.train=" in done.out
    assert steno("data", "check", tmp_path / "shards", "--alphabet", tiny.ALPHABET, "--workers", 0).code == 0
    again = steno("data", "shard", tmp_path / "shards", "--to", tmp_path / "shards", "--overwrite")
    assert again.code == 2
    assert "holds the shards that are read" in again.err
    assert len(Manifest(tmp_path / "shards")) == 24
    idle = steno("data", "shard", tones / "train.jsonl", "--to", tmp_path / "x", "--workers", 2)
    assert idle.code == 2
    recut = steno("data", "shard", tmp_path / "shards", "--to", tmp_path / "two", "--audio", "flac", "--workers", 0)
    assert recut.code == 0, recut.err
    assert len(Manifest(tmp_path / "two")) == 24


def test_a_clean_manifest_of_shards(steno: Callable[..., Any], sharded: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean.jsonl"
    done = steno("data", "check", sharded, "--alphabet", tiny.ALPHABET, "--workers", 0, "--fix", clean)
    assert done.code == 0, done.err
    assert [one.id for one in Manifest(clean)] == [one.id for one in Manifest(sharded)]
    assert len(audio.load(Manifest(clean)[3].audio))


def test_shards_are_evaluated_and_transcribed(
    steno: Callable[..., Any], model: Path, tones: Path, tmp_path: Path
) -> None:
    shard(Manifest(tones / "dev.jsonl"), tmp_path / "dev", size=100_000)
    plain, sharded = (
        steno("evaluate", "--model", model, "--data", data) for data in (tones / "dev.jsonl", tmp_path / "dev")
    )
    assert sharded.code == 0, sharded.err
    assert sharded.out.count("WER") == plain.out.count("WER")
    listed = steno("transcribe", tmp_path / "dev", "--model", model)
    files = steno("transcribe", *(one.audio for one in Manifest(tones / "dev.jsonl")), "--model", model)
    assert [line.partition("\t")[2] for line in listed.out.splitlines()] == [
        line.partition("\t")[2] for line in files.out.splitlines()
    ]


@pytest.mark.parametrize(
    ("text", "size"), [("512MB", 512_000_000), ("64 MiB", 64 * 2**20), ("1.5gb", 1_500_000_000), ("4000", 4000)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-5MB", "5 parsecs", "12B", "1e9"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(StenoError, match="is not a size"):
        parse_size(text)
