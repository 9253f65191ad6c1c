"""One utterance by its id, from a manifest or a tree in LibriSpeech's layout."""

from pathlib import Path

import pytest
import tiny

from steno.data.find import find_utterance
from steno.data.manifest import Manifest, write_manifest
from steno.data.shards.write import shard
from steno.errors import ManifestError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "LibriSpeech" / "test-clean" / "10" / "20"
    tiny.record(folder / "10-20-0000.wav", "ab")
    (folder / "10-20.trans.txt").write_text("10-20-0000 AB\n10-20-0001 CD\n10-20-0002\n")
    return tmp_path / "LibriSpeech"


@pytest.mark.parametrize("below", [".", "test-clean", ".."])
def test_in_a_tree_from_any_of_its_upper_folders(below: str, tree: Path) -> None:
    utterance = find_utterance(tree / below, "10-20-0000")
    assert (utterance.id, utterance.text, utterance.speaker) == ("10-20-0000", "ab", "10")
    assert utterance.audio.is_file()


def test_in_a_manifest(tmp_path: Path) -> None:
    rows = [tiny.record(tmp_path / f"{name}.wav", name) for name in ("ab", "cd")]
    write_manifest(tmp_path / "m.jsonl", rows)
    assert find_utterance(tmp_path / "m.jsonl", "cd") == rows[1]
    with pytest.raises(ManifestError, match="no utterance ef"):
        find_utterance(tmp_path / "m.jsonl", "ef")


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("10-20-0009", "no utterance 10-20-0009"),
        ("11-20-0000", "no utterance 11-20-0000"),
        ("10-20-0001", "no recording"),
        ("10-20-0002", "no recording"),
        ("nonsense", "not an id of LibriSpeech"),
        ("", "not an id of LibriSpeech"),
        ("-20-0000", "not an id of LibriSpeech"),
        ("10--0000", "not an id of LibriSpeech"),
        ("1*-20-0000", "not an id of LibriSpeech"),
        ("../10-20-0000", "not an id of LibriSpeech"),
    ],
)
def test_what_is_not_there_is_said(identity: str, said: str, tree: Path) -> None:
    with pytest.raises(ManifestError, match=said):
        find_utterance(tree, identity)


def test_an_empty_transcript_and_one_in_another_coding(tree: Path) -> None:
    folder = tree / "test-clean" / "10" / "20"
    tiny.record(folder / "10-20-0002.wav", "ab")
    with pytest.raises(ManifestError, match="has no transcript"):
        find_utterance(tree, "10-20-0002")
    (folder / "10-20.trans.txt").write_bytes(b"10-20-0000 \xff\xfe\n")
    with pytest.raises(ManifestError, match="UTF-8"):
        find_utterance(tree, "10-20-0000")


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        find_utterance(tmp_path / "nowhere", "10-20-0000")


def test_in_a_folder_of_shards(tmp_path: Path) -> None:
    rows = [tiny.record(tmp_path / f"{name}.wav", name) for name in ("ab", "cd")]
    write_manifest(tmp_path / "m.jsonl", rows)
    shard(Manifest(tmp_path / "m.jsonl"), tmp_path / "shards")
    found = find_utterance(tmp_path / "shards", "cd")
    assert (found.id, found.text) == ("cd", "cd")
