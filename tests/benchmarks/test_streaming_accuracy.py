"""The benchmark of streaming measures models on whole files and as streams."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import tiny

from steno.data.manifest import Manifest
from steno.runtime import Recognizer
from steno.runtime.streaming import WindowConfig

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_row_has_what_the_model_says_of_files_and_of_streams(
    model: Path, tones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    accuracy = importlib.import_module("streaming_accuracy")
    utterances = list(Manifest(tones / "dev.jsonl"))
    window = WindowConfig(left=0.4, chunk=0.4, right=0.4)
    found = accuracy.row(model, utterances, window, 1)
    assert (found.name, found.way, found.waits) == ("tiny", "windows 0.4 + 0.4 + 0.4 s", 0.8)
    by_id = {u.id: u.hypothesis for u in found.whole.scores.utterances}
    assert len(by_id) == len(utterances)
    assert found.whole.scores.wer <= found.stream.scores.wer < 1
    recognizer = Recognizer(model)
    recordings = [tiny.speak("ab cd da"), np.zeros(8000, np.float32)]
    long = WindowConfig(left=4, chunk=4, right=1)
    texts = list(accuracy.streamed(recognizer, recordings, None, long))
    assert texts == [transcript.text for transcript in recognizer.transcribe(recordings)]
