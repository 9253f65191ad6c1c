"""Recordings of sentences: what is wrong with one is told at once, and nothing that is good is lost."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny

from steno import audio
from steno.data.check.settings import Settings
from steno.data.manifest import Manifest
from steno.errors import AudioError, ManifestError, StenoError, TextError
from steno.labelling.prompts import Prompt, read_prompts
from steno.labelling.takes import Takes
from steno.runtime import Recognizer

PROMPTS = [Prompt("Ab, cd!", "ab cd"), Prompt("Dad", "dad")]


def wav(samples: np.ndarray, rate: int = tiny.RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


def takes(folder: Path, speaker: str = "anna", **more: Any) -> Takes:
    return Takes(folder, speaker, PROMPTS, Settings(alphabet=tiny.ALPHABET), **more)


def test_a_take_is_a_row_and_a_file(tmp_path: Path, model: Path) -> None:
    ours = takes(tmp_path / "mine", recognizer=Recognizer(model))
    spoken = tiny.speak("ab cd", 3)
    take = ours.keep(PROMPTS[0], wav(spoken))
    (row,) = Manifest(tmp_path / "mine" / "manifest.jsonl")
    assert (row.text, row.speaker, row.audio.parent) == ("ab cd", "anna", tmp_path / "mine")
    assert row.duration == pytest.approx(len(spoken) / tiny.RATE, abs=1e-4)
    assert np.abs(audio.load(row.audio) - spoken).max() < 1e-4
    assert take.warnings == ()
    assert take.heard is not None
    assert [pair.kind for pair in take.heard] == ["correct", "correct"]
    other = ours.keep(PROMPTS[0], wav(tiny.speak("ab dad", 3)))
    assert other.heard is not None
    assert [(pair.kind, pair.hypothesis) for pair in other.heard] == [("correct", "ab"), ("substitution", "dad")]


def test_the_microphones_rate_is_kept(tmp_path: Path) -> None:
    spoken = audio.resample(tiny.speak("dad", 3), tiny.RATE, 48_000)
    row = takes(tmp_path).keep(PROMPTS[1], wav(np.stack([spoken, 0 * spoken], axis=1), 48_000)).row
    info = soundfile.info(row.audio)
    assert (info.samplerate, info.channels) == (48_000, 1)


def test_a_new_take_replaces_the_old_one_and_speakers_have_their_own(tmp_path: Path) -> None:
    anna, bob = takes(tmp_path), takes(tmp_path, "bob")
    anna.keep(PROMPTS[0], wav(tiny.speak("ab cd", 1)))
    longer = tiny.speak("ab cd dad", 1)
    anna.keep(PROMPTS[0], wav(longer))
    again = takes(tmp_path)
    assert len(again.rows) == 1
    assert again.rows[0].duration == pytest.approx(len(longer) / tiny.RATE, abs=1e-4)
    assert bob.row(PROMPTS[0]) is None
    bob = takes(tmp_path, "bob")
    bob.keep(PROMPTS[0], wav(tiny.speak("ab cd", 2)))
    assert [row.speaker for row in Manifest(tmp_path / "manifest.jsonl")] == ["anna", "bob"]
    assert len(list(tmp_path.glob("*.flac"))) == 2
    bob.forget(PROMPTS[0])
    bob.forget(PROMPTS[0])
    assert [row.speaker for row in Manifest(tmp_path / "manifest.jsonl")] == ["anna"]
    assert len(list(tmp_path.glob("*.flac"))) == 1


@pytest.mark.parametrize(
    ("recording", "why"),
    [
        (b"nothing", "no recording"),
        (wav(np.zeros(tiny.RATE, dtype=np.float32)), "dBFS"),
        (wav(np.sign(tiny.speak("dad")) * 1.0), "cut off"),
        (wav(tiny.speak("dad")[:1000]), "0.06 s"),
        (wav(np.zeros(31 * tiny.RATE, dtype=np.float32)), "30 s"),
    ],
)
def test_what_is_no_use_is_refused_and_the_earlier_take_stays(tmp_path: Path, recording: bytes, why: str) -> None:
    ours = takes(tmp_path)
    kept = ours.keep(PROMPTS[1], wav(tiny.speak("dad", 1))).row
    with pytest.raises(AudioError, match=why):
        ours.keep(PROMPTS[1], recording)
    assert ours.row(PROMPTS[1]) == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([kept.audio.name, "manifest.jsonl"])


def test_a_warning_keeps_it(tmp_path: Path) -> None:
    loud = tiny.speak("ab cd", 1)
    loud[3000:3040] = loud.max() * 3
    assert any("cut off" in warning for warning in takes(tmp_path).keep(PROMPTS[0], wav(loud)).warnings)


def test_names_and_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(StenoError, match="--speaker"):
        takes(tmp_path, "../anna")
    (tmp_path / "file").touch()
    with pytest.raises(StenoError, match="file"):
        takes(tmp_path / "file")
    (tmp_path / "manifest.jsonl").write_text("no manifest\n")
    with pytest.raises(ManifestError, match=r"manifest\.jsonl:1"):
        takes(tmp_path)


def test_sentences_are_taken_once_and_normalised(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Ab,  cd!\n\n ab cd\nDad.\n")
    assert read_prompts([path], tiny.ALPHABET) == [Prompt("Ab, cd!", "ab cd"), Prompt("Dad.", "dad")]
    path.write_text("I paid $5.\n")
    assert read_prompts([path], " 'abcdefghijklmnopqrstuvwxyz", spell_out=True)[0].text == "i paid five dollars"
    with pytest.raises(TextError, match=r"a\.txt:1.*5"):
        read_prompts([path], " 'abcdefghijklmnopqrstuvwxyz")
    path.write_text("\n")
    with pytest.raises(TextError, match="no sentence"):
        read_prompts([path], tiny.ALPHABET)
    with pytest.raises(TextError, match=r"none\.txt"):
        read_prompts([tmp_path / "none.txt"], tiny.ALPHABET)
