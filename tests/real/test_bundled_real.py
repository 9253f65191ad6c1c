"""The model that comes with Steno, on real speech of people whom it was tuned on but never trained on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from steno.data.corpora.prepare import prepare
from steno.evaluation.score import score
from steno.runtime import Recognizer, bundled
from steno.runtime.files import transcribe_files

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH does not name a LibriSpeech folder")


def test_most_words_are_right(steno: Callable) -> None:
    rows = prepare(Path(str(ROOT)) / "dev-clean", format="librispeech").utterances
    rows = rows[:: len(rows) // 20][:20]
    recognizer = Recognizer(str(bundled.folder(bundled.DEFAULT)), threads=1)
    results = transcribe_files(recognizer, [row.audio for row in rows])
    found = score((row.id, row.text or "", one.transcript.text) for row, one in zip(rows, results, strict=True))  # type: ignore[union-attr]
    assert found.wer < 0.5
    # Alone: in 8 bits activations have one scale a batch, so that a recording may come out otherwise in company.
    (alone,) = transcribe_files(recognizer, [rows[0].audio])
    ran = steno("transcribe", rows[0].audio)
    assert ran.code == 0, ran.err
    assert alone.transcript is not None
    assert ran.out.strip() == alone.transcript.text
