"""Manifests: lazy, exact about what is wrong, and the same after a round trip."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from steno.data.manifest import Manifest, Utterance, read_rows, write_manifest
from steno.errors import ManifestError


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def rows(folder: Path) -> list[Utterance]:
    return [
        Utterance("one", folder / "audio" / "one.wav", 1.25, "hello", "s1"),
        Utterance("two", folder / "zwei.flac", 0.5, "grüße ☃", None, {"lang": "de", "n": 3}),
        Utterance("three", Path("/elsewhere/three.mp3"), 12.345678),
    ]


def test_round_trip(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "er"
    assert write_manifest(home / "m.jsonl", rows(home)) == 3
    manifest = Manifest(home / "m.jsonl")
    assert list(manifest) == rows(home)
    assert [manifest[i] for i in (0, 1, 2)] == rows(home)
    assert manifest[-1] == rows(home)[2]
    assert len(manifest) == 3
    np.testing.assert_allclose(manifest.durations, [1.25, 0.5, 12.345678], rtol=1e-6)
    assert manifest.hours == pytest.approx(14.095678 / 3600)
    with pytest.raises(IndexError):
        manifest[3]


def test_recordings_below_the_manifest_move_with_it(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a" / "m.jsonl", rows(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "b")
    moved = Manifest(tmp_path / "b" / "m.jsonl")
    assert [u.audio for u in moved] == [u.audio for u in rows(tmp_path / "b")]


def test_a_plain_nemo_line_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", "", '{"audio_filepath": "x/y.wav", "duration": 2}', "  ")
    (utterance,) = Manifest(path)
    assert utterance == Utterance("y", tmp_path / "x/y.wav", 2.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not valid JSON"),
        ("[1]", "no `audio_filepath`"),
        ('{"duration": 1}', "no `audio_filepath`"),
        ('{"audio_filepath": 3, "duration": 1}', "no `audio_filepath`"),
        ('{"audio_filepath": "a.wav"}', "`duration` is None"),
        ('{"audio_filepath": "a.wav", "duration": "1"}', "`duration` is '1'"),
        ('{"audio_filepath": "a.wav", "duration": true}', "`duration` is True"),
        ('{"audio_filepath": "a.wav", "duration": -1}', "`duration` is -1"),
        ('{"audio_filepath": "a.wav", "duration": NaN}', "not valid JSON"),
        ('{"audio_filepath": "a.wav", "duration": 1, "text": 5}', "`text` is 5"),
        ("\ufeff{}", "not valid JSON"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(line: str, said: str, tmp_path: Path) -> None:
    good = '{"audio_filepath": "a.wav", "duration": 1}'
    path = write(tmp_path / "m.jsonl", good, "", line, good)
    with pytest.raises(ManifestError) as raised:
        Manifest(path)
    assert f"{path}:3: " in raised.value.message
    assert said in raised.value.message
    found = list(read_rows(path))
    assert [number for number, _ in found] == [1, 3, 4]
    assert isinstance(found[1][1], ManifestError)
    assert isinstance(found[2][1], Utterance)


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        Manifest(tmp_path / "none.jsonl")
    with pytest.raises(ManifestError, match="directory"):
        Manifest(tmp_path)
    with pytest.raises(ManifestError, match="no utterances"):
        Manifest(write(tmp_path / "empty.jsonl", "", " "))


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    lines = [f'{{"audio_filepath": "{n}.wav", "duration": 1}}' for n in range(3)]
    first, same = write(tmp_path / "a.jsonl", *lines), write(tmp_path / "b.jsonl", *lines)
    other = write(tmp_path / "c.jsonl", *reversed(lines))
    assert Manifest(first).digest == Manifest(same).digest != Manifest(other).digest


def test_a_manifest_goes_to_worker_processes(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", rows(tmp_path))
    manifest = Manifest(tmp_path / "m.jsonl")
    assert manifest[1].id == "two"
    copy = pickle.loads(pickle.dumps(manifest))  # noqa: S301 (our own bytes)
    assert copy[0] == manifest[0]


def test_a_failed_write_leaves_the_former_manifest(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", rows(tmp_path))
    bad = Utterance("bad", tmp_path / "caf\udce9.wav", 1.0)
    with pytest.raises(ManifestError, match="'bad'"):
        write_manifest(tmp_path / "m.jsonl", [rows(tmp_path)[0], bad])
    assert len(Manifest(tmp_path / "m.jsonl")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]


MEASURE = r"""
import re, sys
from pathlib import Path
from steno.data.manifest import Manifest
manifest = Manifest(sys.argv[1])
assert manifest[999_999].id == "u999999" and manifest[5].text == "a sentence of ordinary length, number 5"
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(len(manifest), int(peak[1]) // 1024)
"""


def test_a_million_rows_open_in_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "m.jsonl").open("w") as file:
        for start in range(0, 1_000_000, 10_000):
            file.write(
                "".join(
                    f'{{"audio_filepath":"speaker/chapter/u{n}.flac","duration":12.5,"id":"u{n}",'
                    f'"text":"a sentence of ordinary length, number {n}","speaker":"{n % 1000}"}}\n'
                    for n in range(start, start + 10_000)
                )
            )
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "m.jsonl")], capture_output=True, text=True, check=True
    )
    count, megabytes = map(int, done.stdout.split())
    assert count == 1_000_000
    assert megabytes < 300


def test_rows_may_be_parts_of_recordings(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.jsonl",
        '{"audio_filepath": "a.wav", "duration": 4, "text": "a", "offset": null}',
        '{"audio_filepath": "a.wav", "duration": 4, "text": "a", "offset": 0}',
        '{"audio_filepath": "a.wav", "duration": 1.5, "text": "b", "offset": 2.5, "channel": 1, "lang": "en"}',
        '{"audio_filepath": "a.wav", "duration": 4, "text": "c", "channel": 0}',
    )
    whole, first, later, left = Manifest(path)
    assert whole.audio == tmp_path / "a.wav"
    assert first.audio == tmp_path / "a.wav#t=0,4"
    assert later.audio == tmp_path / "a.wav#t=2.5,4&channel=1"
    assert left.audio == tmp_path / "a.wav#channel=0"
    assert [row.id for row in (whole, first, later, left)] == [
        "a",
        "a-0.00-4.00",
        "a-2.50-4.00-channel1",
        "a-channel0",
    ]
    assert later.extra == {"lang": "en"}
    write_manifest(tmp_path / "again.jsonl", [whole, first, later, left])
    assert list(Manifest(tmp_path / "again.jsonl")) == [whole, first, later, left]
    assert '"audio_filepath":"a.wav"' in (tmp_path / "again.jsonl").read_text()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("offset", "-1", "`offset` is -1, not seconds"),
        ("offset", '"2"', "`offset` is '2', not seconds"),
        ("offset", "true", "`offset` is True, not seconds"),
        ("channel", "1.5", "`channel` is 1.5, not the number of one"),
        ("channel", "-1", "`channel` is -1, not the number of one"),
    ],
)
def test_what_says_no_part_is_refused(key: str, value: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", f'{{"audio_filepath": "a.wav", "duration": 4, "{key}": {value}}}')
    with pytest.raises(ManifestError, match=f"m.jsonl:1: {said}"):
        Manifest(path)
