"""Shards in an S3 store: written there, fetched once a machine, trained on."""

import os
from pathlib import Path
from typing import Any

import pytest
from stores import Store

from steno import audio
from steno.data.manifest import Manifest
from steno.data.shards.write import shard
from steno.errors import AudioError, ManifestError
from steno.storage import cache, objects


def test_shards_are_written_to_a_store_and_trained_from_it(
    s3: Store, tones: Path, train_tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Manifest(tones / "train.jsonl")
    done = shard(plain, s3.at("train"), size=180_000)
    assert done.shards >= 4
    sharded = Manifest(str(s3.at("train")))
    assert [one.id for one in sharded] == [one.id for one in plain]
    assert len(audio.load(sharded[7].audio)) == len(audio.load(plain[7].audio))
    with pytest.raises(ManifestError, match="there are shards"):
        shard(plain, s3.at("train"))
    fetched: list[str] = []
    fetch = cache.fetch
    monkeypatch.setattr(cache, "fetch", lambda place, *rest: (fetched.append(place.key), fetch(place, *rest))[1])
    monkeypatch.setenv("XDG_CACHE_HOME", f"{os.environ['XDG_CACHE_HOME']}-other-machine")
    result, recorder = train_tiny(data={"train": str(s3.at("train"))}, training={"epochs": 2})
    assert recorder.losses
    assert result.model.is_dir()
    assert sorted(fetched) == sorted(["train/index.safetensors", *(f"train/{n:06d}.tar" for n in range(done.shards))])


def test_a_shard_that_is_gone_is_named(s3: Store, tones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard(Manifest(tones / "dev.jsonl"), s3.at("dev"))
    utterance = Manifest(str(s3.at("dev")))[0]
    objects.delete(s3.at("dev/000000.tar"))
    monkeypatch.setenv("XDG_CACHE_HOME", f"{os.environ['XDG_CACHE_HOME']}-other-machine")
    manifest = Manifest(str(s3.at("dev")))
    with pytest.raises(ManifestError, match=r"dev/000000\.tar: no such object"):
        manifest[0]
    with pytest.raises(AudioError, match=r"dev/000000\.tar: no such object"):
        audio.load(utterance.audio)
