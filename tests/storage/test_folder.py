"""Folders of a store: copies of one moment, and corpora whose recordings stay where they are."""

import pytest

from steno.errors import StorageError
from steno.storage import fetch_folder, layout, objects, recordings_below, write_bytes
from steno.storage.location import parse


def test_a_folder_is_copied_as_it_is_now(store):
    write_bytes(store.at("model/config.yaml"), b"one")
    write_bytes(store.at("model/parts/x"), b"x")
    write_bytes(store.at("model-2/config.yaml"), b"another")
    first = fetch_folder(store.at("model"), must_hold="config.yaml")
    assert sorted(str(p.relative_to(first)) for p in first.rglob("*") if p.is_file()) == ["config.yaml", "parts/x"]
    assert fetch_folder(store.at("model"), must_hold="config.yaml") == first
    write_bytes(store.at("model/config.yaml"), b"two")
    second = fetch_folder(store.at("model"), must_hold="config.yaml")
    assert (first / "config.yaml").read_bytes() == b"one"
    assert (second / "config.yaml").read_bytes() == b"two"


def test_a_folder_that_is_not_one_is_told(store):
    write_bytes(store.at("model/readme"), b"")
    with pytest.raises(StorageError, match=r"/model: has no config\.yaml"):
        fetch_folder(store.at("model"), must_hold="config.yaml")
    with pytest.raises(StorageError, match="/models: no such folder"):
        fetch_folder(store.at("models"))


def test_a_folder_that_cannot_be_fetched_leaves_nothing(s3, tmp_path):
    write_bytes(s3.at("model/a"), b"a" * 5000)
    write_bytes(s3.at("model/b"), b"b" * 200_000)
    s3.proxy.cut(times=10**6, after=100_000)
    with pytest.raises(StorageError, match="/model/b: cannot be read"):
        fetch_folder(s3.at("model"))
    assert not list((tmp_path / "cache" / "steno" / "folders").iterdir())


def test_names_that_would_leave_the_folder_are_passed_over(s3):
    import boto3

    s3.direct()  # proxies and clients alike refuse such paths, but a store may hold such keys
    client = boto3.client("s3")
    bucket = s3.root.removeprefix("s3://")
    for key in ("m/../../evil", "m//twice", "m/./dot", "m/folder/", "m/good", "m/marker", "m/marker/inside"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert list(objects.below(parse(s3.at("m")))) == ["good", "marker/inside"]


def test_recordings_of_a_folder(store):
    for name in ("b.flac", "a.wav", "deep/c.mp3", "text.txt"):
        write_bytes(store.at(f"speech/{name}"), b"")
    found = recordings_below(store.at("speech"), lambda path: path.suffix != ".txt")
    assert found == [f"{store.root}/speech/{name}" for name in ("a.wav", "b.flac", "deep/c.mp3")]
    assert recordings_below(store.at("speech/b.flac"), lambda path: True) == []


def test_a_layout_has_the_texts_and_only_the_names_of_recordings(store):
    write_bytes(store.at("corpus/1/2/1-2.trans.txt"), b"1-2-3 HELLO\n")
    write_bytes(store.at("corpus/1/2/1-2-3.flac"), b"sound")
    with layout(store.at("corpus/1")) as copy:
        assert (copy.source / "2/1-2.trans.txt").read_text() == "1-2-3 HELLO\n"
        assert (copy.source / "2/1-2-3.flac").read_bytes() == b""
        assert copy.source.name == "1"  # what the names above say is kept
        assert copy.place(copy.source / "2/1-2-3.flac") == store.at("corpus/1/2/1-2-3.flac")
        assert copy.named(f"{copy.source}/2/x:3") == f"{store.root}/corpus/1/2/x:3"
    assert not copy.source.exists()


def test_a_layout_of_a_single_file_has_its_neighbours_names(store):
    write_bytes(store.at("t/table.csv"), b"path,text\n")
    write_bytes(store.at("t/a.wav"), b"sound")
    with layout(store.at("t/table.csv")) as copy:
        assert copy.source.read_text() == "path,text\n"
        assert (copy.source.parent / "a.wav").exists()
    with pytest.raises(StorageError, match=r"/t/none\.csv: no such file or folder"), layout(store.at("t/none.csv")):
        pass
