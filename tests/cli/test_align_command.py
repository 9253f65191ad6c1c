"""`steno align`."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny

from steno import audio
from steno.data.manifest import Manifest, Utterance
from steno.runtime import Recognizer


@pytest.fixture
def said(tones: Path) -> Utterance:
    """A recording of at least two words."""
    return next(u for u in Manifest(tones / "dev.jsonl") if " " in (u.text or "") and len(u.text or "") > 4)


def test_words_lie_where_they_are_spoken(steno: Callable, model: Path, said: Utterance, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(f"{said.text}\n")
    ran = steno("align", said.audio, tmp_path / "text.txt", "--model", model, "--format", "json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert " ".join(word["word"] for word in found["words"]) == said.text
    assert found["misfit"] < 0.1
    assert ran.err == ""
    for word in found["words"]:
        # tiny.speak: 0.06 s, then 0.14 s for each character before the word; 0.09 s of tone for each of its own.
        at = (said.text or "").split(" ").index(word["word"])
        before = len(" ".join((said.text or "").split(" ")[:at])) + (at > 0)
        assert word["start"] == pytest.approx(0.06 + 0.14 * before, abs=0.1)
        assert word["end"] == pytest.approx(0.06 + 0.14 * (before + len(word["word"])) - 0.05, abs=0.1)


def test_decoded_times_are_those_of_the_forced_alignment(
    steno: Callable, model: Path, tones: Path, tmp_path: Path
) -> None:
    recognizer = Recognizer(model)
    for utterance in Manifest(tones / "dev.jsonl"):
        heard = recognizer.transcribe([audio.load(utterance.audio)])[0]
        (tmp_path / "text.txt").write_text(heard.text)
        ran = steno("align", utterance.audio, tmp_path / "text.txt", "--model", model, "--format", "json")
        for word, aligned in zip(heard.words, json.loads(ran.out)["words"], strict=True):
            assert word.start == pytest.approx(aligned["start"], abs=0.08)
            assert word.end == pytest.approx(aligned["end"], abs=0.08)


def test_textgrid_and_subtitles(steno: Callable, model: Path, said: Utterance, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(said.text or "")
    out = tmp_path / "out.TextGrid"
    assert steno("align", said.audio, tmp_path / "text.txt", "--model", model, "--out", out).code == 0
    assert out.read_text().startswith('File type = "ooTextFile"')
    assert f'text = "{(said.text or "").split()[0]}"' in out.read_text()
    ran = steno("align", said.audio, tmp_path / "text.txt", "--model", model, "--format", "srt")
    assert ran.out.splitlines()[2] == said.text


def test_a_recording_longer_than_a_segment(steno: Callable, model: Path, tmp_path: Path) -> None:
    texts = ["ab", "cd", "dab"] * 8
    pause = np.zeros(tiny.RATE, np.float32)
    samples = np.concatenate([part for n, text in enumerate(texts) for part in (tiny.speak(text, n), pause)])
    soundfile.write(tmp_path / "long.wav", samples, tiny.RATE)
    (tmp_path / "text.txt").write_text(" ".join(texts))
    ran = steno("align", tmp_path / "long.wav", tmp_path / "text.txt", "--model", model, "--format", "json")
    assert ran.code == 0, ran.err
    words = json.loads(ran.out)["words"]
    assert [word["word"] for word in words] == texts
    assert all(a["end"] <= b["start"] + 1e-6 for a, b in itertools.pairwise(words))


def test_a_text_of_another_recording_is_doubted(steno: Callable, model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "said.wav", tiny.speak("abc dab bad cab"), tiny.RATE)
    (tmp_path / "other.txt").write_text("ccd bca adc cda")
    for form in ("textgrid", "srt", "json"):
        ran = steno("align", tmp_path / "said.wav", tmp_path / "other.txt", "--model", model, "--format", form)
        assert ran.code == 0
        assert "warning" in ran.err
        assert "other.txt does not seem to be what is said in" in ran.err
    assert json.loads(ran.out)["misfit"] > 0.67


def test_what_is_the_same_backwards_is_not_judged(steno: Callable, model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "said.wav", tiny.speak("abc"), tiny.RATE)
    (tmp_path / "text.txt").write_text("dd")
    ran = steno("align", tmp_path / "said.wav", tmp_path / "text.txt", "--model", model, "--format", "json")
    assert json.loads(ran.out)["misfit"] is None
    assert ran.err == ""


@pytest.mark.parametrize(
    ("text", "says"), [("", "text is empty"), ("abc xyz", "outside the alphabet"), ("abcd " * 200, "frames")]
)
def test_texts_that_cannot_be_aligned(
    steno: Callable, model: Path, said: Utterance, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "text.txt").write_text(text)
    ran = steno("align", said.audio, tmp_path / "text.txt", "--model", model)
    assert ran.code == 2
    assert says in ran.err
    assert "text.txt" in ran.err
    assert "Traceback" not in ran.err
    assert steno("align", said.audio, tmp_path / "none.txt", "--model", model).code == 2
