"""Parts of a manifest that share nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.data.split import split
from steno.errors import ManifestError


def manifest(folder: Path, rows: list[tuple[str | None, str, float]]) -> Path:
    """Utterances of (speaker, text, seconds)."""
    path = folder / "all.jsonl"
    write_manifest(
        path,
        (
            Utterance(str(number), folder / f"{number}.wav", seconds, text, speaker)
            for number, (speaker, text, seconds) in enumerate(rows)
        ),
    )
    return path


def shared(source: Manifest, parts: dict[str, list[int]], what: Callable[[Utterance], str | None]) -> set[str]:
    """What two parts have in common."""
    found: dict[str, str] = {}
    twice = set()
    for name, places in parts.items():
        for value in {what(source[place]) for place in places} - {None}:
            if found.setdefault(str(value), name) != name:
                twice.add(str(value))
    return twice


def test_parts_share_no_speaker_and_no_sentence(tmp_path: Path) -> None:
    rows = [(f"s{n % 40}", f"sentence {n}", 1 + n % 5) for n in range(400)]
    rows += [("s3", "Hello!", 2.0), ("s4", "hello", 2.0), (None, "nobody said this", 3.0)]
    source = Manifest(manifest(tmp_path, rows))
    parts = split(source, {"dev": 0.1, "test": 0.2}, ("speaker", "sentence"), seed=1)
    assert sorted(place for places in parts.values() for place in places) == list(range(len(rows)))
    assert not shared(source, parts, lambda one: one.speaker)
    assert not shared(source, parts, lambda one: (one.text or "").lower().strip("!"))
    hours = {name: sum(source[place].duration for place in places) / 3600 for name, places in parts.items()}
    assert hours["dev"] / source.hours == pytest.approx(0.1, abs=0.04)
    assert hours["test"] / source.hours == pytest.approx(0.2, abs=0.04)
    assert split(source, {"dev": 0.1, "test": 0.2}, ("speaker", "sentence"), seed=1) == parts
    assert split(source, {"dev": 0.1, "test": 0.2}, ("speaker", "sentence"), seed=2) != parts


def test_few_speakers_still_make_three_parts(tmp_path: Path) -> None:
    source = Manifest(manifest(tmp_path, [(speaker, f"{n}", 5.0) for speaker in "abc" for n in range(10)]))
    parts = split(source, {"dev": 0.1, "test": 0.1}, ("speaker",), seed=1)
    assert {name: len(places) for name, places in parts.items()} == {"train": 10, "dev": 10, "test": 10}


def test_what_hangs_together_is_not_torn(tmp_path: Path) -> None:
    prompts = Manifest(manifest(tmp_path, [(speaker, f"prompt {n}", 1.0) for speaker in "abcd" for n in range(5)]))
    with pytest.raises(ManifestError, match="1 group") as refused:
        split(prompts, {"dev": 0.2}, ("speaker", "sentence"), seed=1)
    assert "--apart speaker or sentence" in str(refused.value)
    assert not shared(prompts, split(prompts, {"dev": 0.2}, ("speaker",), seed=1), lambda one: one.speaker)


def test_parts_of_a_recording_stay_together(tmp_path: Path) -> None:
    write_manifest(
        tmp_path / "all.jsonl",
        (
            Utterance(f"{call}-{n}", tmp_path / f"{call}.wav#t={n},{n + 1}", 1.0, f"text {call} {n}")
            for call in range(8)
            for n in range(10)
        ),
    )
    source = Manifest(tmp_path / "all.jsonl")
    parts = split(source, {"dev": 0.25}, ("speaker", "sentence"), seed=3)
    assert [len(places) for places in parts.values()] == [60, 20]
    assert not shared(source, parts, lambda one: one.id.split("-")[0])


def test_the_command_writes_parts_that_the_check_accepts(
    steno: Callable[..., Any], tones: Path, tmp_path: Path
) -> None:
    ran = steno("data", "split", tones / "train.jsonl", "--to", tmp_path / "parts", "--apart", "sentence", "--dev", 0.2)
    assert ran.code == 0, ran.err
    assert f"next: steno data check {tmp_path / 'parts' / 'train.jsonl'} --against" in ran.out
    parts = {name: Manifest(tmp_path / "parts" / f"{name}.jsonl") for name in ("train", "dev", "test")}
    assert sum(map(len, parts.values())) == 24
    assert {one.audio for part in parts.values() for one in part} == {
        one.audio for one in Manifest(tones / "train.jsonl")
    }
    again = steno("data", "split", tones / "train.jsonl", "--to", tmp_path / "parts")
    assert again.code == 2
    assert "is there already" in again.err
    assert (
        "leave nothing" in steno("data", "split", tones / "train.jsonl", "--to", "x", "--dev", 0.6, "--test", 0.5).err
    )
