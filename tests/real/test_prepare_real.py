"""Preparing real speech: LibriSpeech's parts as they lie on the disk."""

import os
from pathlib import Path

import pytest

from steno.data.corpora.prepare import prepare, save
from steno.data.manifest import Manifest

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH is not set")


@pytest.fixture
def root() -> Path:
    assert ROOT is not None
    return Path(ROOT)


@pytest.mark.parametrize("part", ["train-clean-100", "dev-clean", "test-clean"])
def test_a_part_becomes_a_manifest_of_all_its_utterances(root: Path, part: str, tmp_path: Path) -> None:
    rows = {
        row.split(" ", 1)[0]: row.split(" ", 1)[1]
        for path in (root / part).rglob("*.trans.txt")
        for row in path.read_text().splitlines()
    }
    prepared = prepare(root / part)
    assert prepared.problems == []
    assert [utterance.id for utterance in prepared.utterances] == sorted(rows)
    assert prepared.speakers == {path.name for path in (root / part).iterdir() if path.is_dir()}
    for utterance in prepared.utterances:
        assert utterance.text == rows[utterance.id].lower()
        assert utterance.id.startswith(f"{utterance.speaker}-")
        assert 1 < utterance.duration < 40
    save(prepared, tmp_path / "m.jsonl")
    assert Manifest(tmp_path / "m.jsonl").hours == pytest.approx(prepared.hours, rel=1e-5)


def test_the_classic_utterance_is_there(root: Path) -> None:
    (utterance,) = (u for u in prepare(root / "test-clean").utterances if u.id == "1089-134686-0000")
    assert utterance.text is not None
    assert utterance.text.startswith("he hoped there would be stew for dinner")
    assert utterance.duration == pytest.approx(10.435)
