"""The check on LibriSpeech: clean speech passes, and damage to its files is found in each of its containers."""

import os
from pathlib import Path

import pytest

from steno import audio
from steno.data.check import Severity, check, write_fixed
from steno.data.manifest import Utterance, write_manifest
from steno.text import normalize

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH does not name a LibriSpeech folder")


def utterances(part: str, chapters: int) -> list[Utterance]:
    """The first chapters of a part."""
    folder = Path(str(ROOT)) / part
    rows = []
    for transcripts in sorted(folder.rglob("*.trans.txt"))[:chapters]:
        files = {path.stem: path for path in transcripts.parent.iterdir() if audio.is_audio(path)}
        for line in transcripts.read_text(encoding="utf-8").splitlines():
            name, text = line.split(" ", 1)
            seconds = audio.duration(files[name])
            rows.append(Utterance(name, files[name], seconds, normalize(text), name.split("-")[0]))
    return rows


def test_real_speech_gives_no_error_and_few_warnings(tmp_path: Path) -> None:
    train, dev = tmp_path / "train.jsonl", tmp_path / "dev.jsonl"
    count = write_manifest(train, utterances("train-clean-100", 2))
    write_manifest(dev, utterances("dev-clean", 4))
    report = check(train, [dev], workers=2)
    assert report.errors == 0
    assert len(report.problems) <= 0.02 * count
    assert report.summary()["utterances"] == count


@pytest.mark.parametrize("part", ["train-clean-100", "dev-clean", "test-clean"])
def test_damage_to_real_files_is_found_in_each_container(part: str, tmp_path: Path) -> None:
    rows = utterances(part, 2)[:4]
    assert len(rows) == 4
    kept = []
    for row, damage in zip(rows, ("cut", "overwritten", "emptied", "none"), strict=True):
        data = row.audio.read_bytes()
        middle = len(data) // 2
        changed = {
            "cut": data[:middle],
            "overwritten": data[:middle] + bytes(3000) + data[middle + 3000 :],
            "emptied": b"",
            "none": data,
        }[damage]
        path = tmp_path / row.audio.name
        path.write_bytes(changed)
        kept.append(Utterance(f"{damage}-{row.id}", path, row.duration, row.text, row.speaker))
    write_manifest(tmp_path / "damaged.jsonl", kept)
    report = check(tmp_path / "damaged.jsonl")
    assert {problem.id for problem in report.problems} == {row.id for row in kept[:3]}
    assert all(problem.severity is Severity.ERROR for problem in report.problems)
    assert write_fixed(report, tmp_path / "fixed.jsonl").kept == 1
