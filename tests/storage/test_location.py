"""Which paths are places in a store, and how they are spelt."""

from pathlib import Path

import pytest

from steno.errors import StorageError
from steno.storage import absolute, is_remote, shown
from steno.storage.location import parse


@pytest.mark.parametrize(
    ("text", "kind", "path", "account"),
    [
        ("s3://bucket/a/b.flac", "s3", "bucket/a/b.flac", None),
        ("s3a://bucket", "s3", "bucket", None),
        ("az://box/a/", "azure", "box/a", None),
        ("abfs://box@mine.dfs.core.windows.net/a", "azure", "box/a", "mine"),
        ("abfss://box@mine.dfs.core.windows.net/a", "azure", "box/a", "mine"),
        ("wasbs://box@mine.blob.core.windows.net/a", "azure", "box/a", "mine"),
    ],
)
def test_both_spellings_mean_the_same_place(text, kind, path, account):
    for spelling in (text, Path(text)):
        assert is_remote(spelling)
        place = parse(spelling)
        assert (place.kind, place.path, place.account) == (kind, path, account)
        assert shown(spelling) == text.rstrip("/")


def test_paths_behave_below_a_bucket():
    path = Path("s3://bucket/corpus/train.jsonl")
    assert shown(path.parent / "a" / "b.flac") == "s3://bucket/corpus/a/b.flac"
    assert absolute(path) == path
    assert path.parent == Path("s3://bucket/corpus")


@pytest.mark.parametrize("text", ["s3", "s3/bucket", "/s3:/bucket", "c:/x", "models:/a@b", "https://x/y", "gs://x/y"])
def test_all_else_is_a_path_of_this_machine(text):
    assert not is_remote(text)
    assert shown(text) == text


@pytest.mark.parametrize("text", ["s3://", "az:///"])
def test_a_place_has_a_bucket(text):
    with pytest.raises(StorageError, match="not a place"):
        parse(text)
