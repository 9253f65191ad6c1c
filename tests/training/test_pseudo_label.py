"""Pseudo-labels: what is kept, what is left out and why, and where it says that they come from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny
import yaml

from steno.data.manifest import Manifest
from steno.decoding.transcript import Transcript, Word
from steno.runtime import Recognizer
from steno.runtime.files import FileResult
from steno.training.pseudo_label import pseudo_label


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two that can be labelled, of which one has its name twice, one broken, one of silence, one too long."""
    folder = tmp_path / "audio"
    for name, text in (("x/one", "ab cd"), ("y/one", "dd a"), ("two", "c b")):
        tiny.record(folder / f"{name}.wav", text, seed=len(text))
    (folder / "broken.wav").write_bytes(b"nothing")
    soundfile.write(folder / "long.wav", np.tile(tiny.speak("ab cd"), 60), tiny.RATE)
    return folder


def test_what_is_kept_and_what_is_not(model: Path, recordings: Path) -> None:
    files = sorted(recordings.rglob("*.wav"))
    seen: list[tuple[int, int]] = []
    found = pseudo_label(Recognizer(model), files, progress=lambda done, total: seen.append((done, total)))
    assert [utterance.id for utterance in found.utterances] == ["two", "audio-x-one", "audio-y-one"]
    for utterance in found.utterances:
        assert utterance.text
        assert set(utterance.text) <= set(tiny.ALPHABET)
        assert 0 < utterance.extra["confidence"] <= 1
        assert utterance.extra["labelled_by"].startswith("tiny ")
        assert utterance.duration == pytest.approx(soundfile.info(utterance.audio).duration)
    reasons = {path.name: reason for path, reason in found.left_out}
    assert set(reasons) == {"broken.wav", "long.wav"}
    assert "lasts longer than 35 s" in reasons["long.wav"]
    assert seen == [(n, 5) for n in range(1, 6)]


def test_recordings_of_a_store_keep_their_place(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def heard(recognizer: Recognizer, files: Sequence[Path]) -> Iterator[FileResult]:
        return iter([FileResult(path, Transcript("ab", (Word("ab", 0, 1, 0.9),)), seconds=1.0) for path in files])

    monkeypatch.setattr("steno.training.pseudo_label.transcribe_files", heard)
    (found,) = pseudo_label(Recognizer(model), [Path("s3://bucket/a.wav")]).utterances
    assert str(found.audio) == str(Path("s3://bucket/a.wav"))


def test_those_of_little_confidence_are_left_out(model: Path, recordings: Path) -> None:
    files = [*sorted(recordings.glob("[xy]/*.wav")), recordings / "two.wav"]
    every = pseudo_label(Recognizer(model), files)
    surest = max(utterance.extra["confidence"] for utterance in every.utterances)
    found = pseudo_label(Recognizer(model), files, min_confidence=surest)
    assert [utterance.extra["confidence"] for utterance in found.utterances] == [surest]
    assert len(found.left_out) == 2
    assert all("is less than" in reason for _, reason in found.left_out)


def test_the_command_writes_a_manifest_and_where_it_comes_from(
    model: Path, recordings: Path, tmp_path: Path, steno: Any
) -> None:
    out = tmp_path / "pseudo.jsonl"
    done = steno("pseudo-label", recordings, "--model", model, "--out", out, "--min-confidence", 0.01)
    assert done.code == 0, done.err
    assert "3 of 5 recordings" in done.out
    assert "broken.wav" in done.err
    rows = list(Manifest(out))
    assert len(rows) == 3
    assert all(row.audio.is_file() and row.text for row in rows)
    made = yaml.safe_load((tmp_path / "pseudo.jsonl.provenance.yaml").read_text())
    assert made["model"]["name"] == "tiny"
    assert made["min_confidence"] == 0.01
    assert made["decoding"]["method"] == "greedy"
    assert made["trained_on"]["utterances"] == 24
    assert made["left_out"] == {"not readable": 1, "too long": 1}


def test_where_nothing_can_be_labelled_nothing_is_written(
    model: Path, recordings: Path, tmp_path: Path, steno: Any
) -> None:
    out = tmp_path / "pseudo.jsonl"
    done = steno("pseudo-label", recordings / "broken.wav", "--model", model, "--out", out)
    assert done.code == 2
    assert "none of 1 recordings" in done.err
    assert not out.exists()


def test_pseudo_labels_can_be_trained_on(
    model: Path, recordings: Path, tmp_path: Path, steno: Any, train_tiny: Any
) -> None:
    out = tmp_path / "pseudo.jsonl"
    assert steno("pseudo-label", recordings, "--model", model, "--out", out).code == 0
    _, recorder = train_tiny(data={"train": str(out)}, training={"epochs": 1})
    assert recorder.losses
