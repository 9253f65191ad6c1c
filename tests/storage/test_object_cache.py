"""The cache of objects: what is in it is whole and of the version that the store has."""

import os
import sys
import time

import numpy as np
import pytest

from steno.errors import MissingExtraError, StorageError
from steno.storage import cache, local, objects, write_bytes
from steno.storage.location import parse


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("steno.storage.objects.BLOCK_BYTES", 100_000)


BYTES = np.random.default_rng(1).bytes(350_000)


def cached():
    return [path for path in (cache.cache_home() / "objects").glob("*/*") if path.suffix != ".json"]


def test_an_object_is_fetched_once_and_read_from_this_machine(store):
    write_bytes(store.at("a/b.flac"), BYTES)
    file = local(store.at("a/b.flac"))
    assert file.read_bytes() == BYTES
    assert file.suffix == ".flac"
    store.proxy.cut(times=10**6, after=0)  # the store is away, and nobody asks for it
    assert local(store.at("a/b.flac")) == file
    assert cached() == [file]


def test_a_path_of_this_machine_is_itself(tmp_path):
    assert local(tmp_path / "x") == tmp_path / "x"


def test_a_changed_object_is_seen_at_once_if_asked_and_else_after_an_hour(store):
    place = store.at("a.txt")
    write_bytes(place, b"old")
    file = local(place)
    write_bytes(place, b"new")
    assert local(place).read_bytes() == b"old"
    assert local(place, fresh=True).read_bytes() == b"new"
    write_bytes(place, b"newer")
    hour_ago = time.time() - cache.FRESH_SECONDS - 1
    os.utime(file.with_name(file.name + ".json"), (hour_ago, hour_ago))
    assert local(place).read_bytes() == b"newer"


def test_the_copy_serves_while_the_store_is_away(s3, caplog):
    place = s3.at("a.txt")
    write_bytes(place, b"old")
    file = local(place)
    os.utime(file.with_name(file.name + ".json"), (0, 0))
    s3.proxy.cut(times=10**6, after=0)
    assert local(place).read_bytes() == b"old"
    assert "its copy of before is used" in caplog.text
    with pytest.raises(StorageError, match=r"a\.txt: cannot be looked at"):
        local(place, fresh=True)


def test_a_cut_connection_is_tried_again(store):
    write_bytes(store.at("a.flac"), BYTES)
    store.proxy.cut(times=3, after=50_000)
    assert local(store.at("a.flac")).read_bytes() == BYTES
    assert store.proxy.cuts_made == 3


def test_a_connection_that_is_always_cut_ends_in_an_error_that_names_the_object(store):
    write_bytes(store.at("a.flac"), BYTES)
    store.proxy.cut(times=10**6, after=50_000)
    with pytest.raises(StorageError, match=r"://.*/a\.flac: cannot be read .*, tried 5 times") as told:
        local(store.at("a.flac"))
    assert "docs/object-stores.md" in told.value.hint
    assert cached() == []  # and no part of it is left
    store.proxy.cut(times=0, after=0)
    assert local(store.at("a.flac")).read_bytes() == BYTES


def test_an_upload_that_is_cut_leaves_the_object_as_it_was(store, tmp_path):
    place = store.at("a.flac")
    write_bytes(place, b"whole")
    big = tmp_path / "big"
    big.write_bytes(BYTES)
    store.proxy.cut(times=10**6, after=0)
    with pytest.raises(StorageError, match=r"a\.flac: cannot be written"):
        objects.upload(big, parse(place))
    store.direct()
    left = local(place, fresh=True).read_bytes()
    assert left in (b"whole", BYTES)  # the store may have taken it, and only the answer was lost
    objects.upload(big, parse(place))
    assert local(place, fresh=True).read_bytes() == BYTES


def test_a_store_that_falls_silent_is_not_waited_for_without_end(store, monkeypatch):
    monkeypatch.setattr("steno.storage.objects.ATTEMPTS", 2)
    write_bytes(store.at("a"), b"old")
    monkeypatch.setattr("steno.storage.objects.PATIENCE", 0.3)
    store.proxy.silent = True
    with pytest.raises(StorageError, match=r"/a: cannot be written \(no answer in time\), tried 2 times"):
        write_bytes(store.at("a"), b"new")
    store.direct()
    monkeypatch.setattr("steno.storage.objects.PATIENCE", 15.0)
    assert local(store.at("a"), fresh=True).read_bytes() in (b"old", b"new")


@pytest.mark.parametrize("name", ["missing.txt", "a"])
def test_what_is_not_an_object_is_named(store, name):
    write_bytes(store.at("a/b.txt"), b"x")
    with pytest.raises(StorageError, match=rf"/{name}: (no such object|is a folder)"):
        local(store.at(name))


def test_half_a_file_in_the_cache_is_not_taken_for_whole(s3):
    write_bytes(s3.at("a.flac"), BYTES)
    file = local(s3.at("a.flac"))
    file.write_bytes(BYTES[:1000])
    assert local(s3.at("a.flac")).read_bytes() == BYTES


def test_an_object_that_changes_while_it_is_fetched_is_refused(s3, monkeypatch):
    write_bytes(s3.at("a.flac"), BYTES)
    read = objects._block

    def changing(store, place, start, end):
        data = read(store, place, start, end)
        if start == 0:
            write_bytes(place.url, BYTES[::-1])
        return data

    monkeypatch.setattr(objects, "_block", changing)
    with pytest.raises(StorageError, match="was changed while it was fetched"):
        local(s3.at("a.flac"))
    assert cached() == []


def test_what_was_not_used_for_long_goes_first(s3):
    for name in "abc":
        write_bytes(s3.at(name), BYTES)
    files = {name: local(s3.at(name)) for name in "abc"}
    for age, name in enumerate("cab"):  # b was used last
        os.utime(files[name], (age + 1, age + 1))
    assert cache.sweep(limit=len(BYTES)) == 2 * len(BYTES)
    assert cached() == [files["b"]]
    assert cache.sweep(limit=0) == len(BYTES)


def test_what_is_in_use_stays(s3):
    write_bytes(s3.at("a"), BYTES)
    file = local(s3.at("a"))
    assert cache.sweep(limit=0) == 0
    assert file.exists()


@pytest.mark.parametrize("text", ["many", "0", "-1", "nan"])
def test_the_cache_has_a_size(s3, monkeypatch, text):
    monkeypatch.setenv("STENO_CACHE_GB", text)
    write_bytes(s3.at("a"), b"x")
    with pytest.raises(StorageError, match=f"STENO_CACHE_GB is '{text}'"):
        local(s3.at("a"))


@pytest.mark.parametrize(("url", "library", "extra"), [("s3://b/k", "s3fs", "s3"), ("az://b/k", "adlfs", "azure")])
def test_a_store_without_its_library_names_the_extra(monkeypatch, url, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setenv("AWS_PROFILE", "none")  # settings of its own, so that no former connection serves
    monkeypatch.setenv("AZURE_STORAGE_ANON", "true")
    with pytest.raises(MissingExtraError, match=rf"'\.\[{extra}\]"):
        local(url)


def test_missing_credentials_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(StorageError, match="s3://bucket/k: cannot be looked at: Unable to locate credentials") as told:
        local("s3://bucket/k")
    assert "rights" in told.value.hint


def test_azure_without_an_account_is_told():
    with pytest.raises(StorageError, match="Azure Blob") as told:
        local("az://box/k")
    assert "AZURE_STORAGE_CONNECTION_STRING" in told.value.hint
