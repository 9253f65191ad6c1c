"""What is labelled at once: long recordings are cut where nobody speaks, and rows of manifests are not."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny

from steno import audio
from steno.data.manifest import Utterance, write_manifest
from steno.errors import StenoError
from steno.fragments import part_of
from steno.labelling.pieces import key, overlaps, pieces, sources


def talk(path: Path, sentences: int) -> Path:
    """Sentences of 2.2 s with a second of near silence after each."""
    pause = (0.0001 * np.random.default_rng(0).standard_normal(tiny.RATE)).astype(np.float32)
    parts = [part for n in range(sentences) for part in (tiny.speak("abcd dcba abcd", n), pause)]
    soundfile.write(path, np.concatenate(parts), tiny.RATE)
    return path


def test_a_short_recording_is_one_piece(tmp_path: Path) -> None:
    path = talk(tmp_path / "short.wav", 1)
    (piece,) = pieces(path, 15)
    assert (piece.audio, piece.id, piece.text) == (path, "short", None)


def test_a_long_one_is_cut_at_its_pauses_and_none_of_its_speech_is_lost(tmp_path: Path) -> None:
    path = talk(tmp_path / "long.wav", 8)
    found = list(pieces(path, 7))
    times = [part_of(piece.audio) for piece in found]
    assert len(found) > 2
    assert all(0 < piece.duration <= 7 for piece in found)
    assert all(part.recording == path for part in times)
    assert times[0].start == 0
    assert all(before.end == after.start for before, after in pairwise(times))
    assert times[-1].end == pytest.approx(audio.duration(path), abs=0.001)
    sound = audio.load(path)
    for part in times[1:]:
        around = sound[int((part.start - 0.05) * tiny.RATE) : int((part.start + 0.05) * tiny.RATE)]
        assert np.abs(around).max() < 0.01, "it is cut within a word"


def test_a_manifest_gives_the_same_pieces_back(tmp_path: Path) -> None:
    found = list(pieces(talk(tmp_path / "long.wav", 8), 7))
    write_manifest(tmp_path / "m.jsonl", found)
    rows = sources([str(tmp_path / "m.jsonl")])
    assert [key(row.audio) for row in rows if isinstance(row, Utterance)] == [key(piece.audio) for piece in found]
    assert [list(pieces(row, 2)) for row in rows] == [[row] for row in rows]


def test_a_channel_is_cut_by_itself(tmp_path: Path) -> None:
    path = talk(tmp_path / "long.wav", 5)
    sound, rate = soundfile.read(path)
    soundfile.write(tmp_path / "call.wav", np.stack([sound, np.zeros_like(sound)], axis=1), rate)
    (second,) = sources([f"{tmp_path}/call.wav#channel=1"])
    assert list(pieces(second, 7)) == []
    (first,) = sources([f"{tmp_path}/call.wav#t=2,14&channel=0"])
    parts = [part_of(piece.audio) for piece in pieces(first, 7)]
    assert {part.channel for part in parts} == {0}
    assert (parts[0].start, parts[-1].end) == (2, 14)


def test_each_source_is_taken_once(tmp_path: Path) -> None:
    path = talk(tmp_path / "a.wav", 1)
    assert sources([str(tmp_path), str(path), str(tmp_path / "*.wav")]) == [path]
    with pytest.raises(StenoError, match="no recording"):
        sources([str(tmp_path / "*.flac")])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a.wav#t=0,5", "a.wav#t=4,9", True),
        ("a.wav#t=0,5", "a.wav#t=5,9", False),
        ("a.wav#t=0,5.01", "a.wav#t=5,9", False),
        ("a.wav", "a.wav#t=5,9", True),
        ("a.wav#t=0,5&channel=0", "a.wav#t=0,5&channel=1", False),
    ],
)
def test_pieces_that_overlap(one: str, other: str, expected: bool) -> None:
    assert overlaps(Path(one), Path(other)) is expected
