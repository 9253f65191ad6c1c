"""Recordings that are cut at their silences, and joined again."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny

from steno.decoding.options import DecodingOptions
from steno.decoding.transcript import Alternative, Transcript
from steno.runtime import Recognizer
from steno.runtime.files import joined, transcribe_files


def test_other_hypotheses_of_a_whole_are_the_best_of_all_that_its_parts_have() -> None:
    parts = [
        Transcript("a", (), (Alternative("a", 0.0), Alternative("b", -1.0), Alternative("c", -3.0)), 0.0),
        Transcript("", (), (), 0.0),
        Transcript("d", (), (Alternative("d", 0.0), Alternative("e", -1.5), Alternative("f", -9.0)), 0.0),
    ]
    whole = joined(parts)
    assert whole.text == "a d"
    assert whole.alternatives == (Alternative("a d", 0.0), Alternative("b d", -1.0), Alternative("a e", -1.5))


def test_one_part_stays_as_it_is() -> None:
    part = Transcript("a", (), (Alternative("a", 0.0), Alternative("b", -1.0)), 0.0)
    assert joined([part]) is part


def test_samples_are_heard_like_files(model: Path, tmp_path: Path) -> None:
    recognizer = Recognizer(model, threads=1, decoding=DecodingOptions(nbest=2))
    pause = (0.001 * np.random.default_rng(0).standard_normal(16 * tiny.RATE)).astype(np.float32)
    long = np.concatenate([tiny.speak("ab cd"), pause, tiny.speak("dc"), pause, tiny.speak("a"), pause])
    soundfile.write(tmp_path / "long.wav", long, tiny.RATE, subtype="FLOAT")
    short, cut, file = transcribe_files(recognizer, [tiny.speak("ab cd"), long, tmp_path / "long.wav"])
    assert short.transcript is not None
    assert short.transcript.text == "ab cd"
    assert cut.transcript == file.transcript
    assert cut.seconds == file.seconds == pytest.approx(len(long) / tiny.RATE)
    assert cut.transcript is not None
    assert len(cut.transcript.alternatives) == 2
    for one in (short.transcript, cut.transcript):  # the best hypothesis is the first of them, cut or not
        assert one.alternatives[0].text == one.text
