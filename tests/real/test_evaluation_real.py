"""Evaluation, comparison and reports on real speech, with models that have hardly learnt anything."""

import base64
import io
import os
import re
from pathlib import Path
from typing import Any

import jiwer
import pytest
import soundfile

from steno import audio
from steno.data.corpora.prepare import prepare, save
from steno.data.manifest import Manifest, write_manifest
from steno.evaluation.analysis import analyse
from steno.evaluation.compare import compare
from steno.evaluation.measure import evaluate
from steno.evaluation.report import comparison_report, evaluation_report
from steno.runtime import Recognizer
from steno.text import ENGLISH

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH does not name a LibriSpeech folder")


@pytest.fixture
def dev(tmp_path: Path) -> Manifest:
    """Thirty utterances of dev-clean, of all its speakers."""
    save(prepare(Path(str(ROOT)) / "dev-clean", format="librispeech"), tmp_path / "all.jsonl")
    every = list(Manifest(tmp_path / "all.jsonl"))
    write_manifest(tmp_path / "dev.jsonl", every[:: len(every) // 30][:30])
    return Manifest(tmp_path / "dev.jsonl")


def test_from_recordings_to_reports(dev: Manifest, tmp_path: Path, train_tiny: Any) -> None:
    write_manifest(tmp_path / "few.jsonl", sorted(dev, key=lambda utterance: utterance.duration)[:4])
    models = [
        train_tiny(
            name,
            data={"train": str(tmp_path / "few.jsonl"), "dev": str(tmp_path / "few.jsonl"), "batch_seconds": 40},
            tokenizer={"alphabet": ENGLISH},
            features={"n_mels": 40},
            training={"epochs": epochs, "checkpoint_seconds": 1000},
        )[0].model
        for name, epochs in (("one", 1), ("more", 8))
    ]
    found = [evaluate(Recognizer(model), dev, model=model.parent.name) for model in models]
    for one in found:
        assert len(one.measured) == 30
        references = [row.scored.reference for row in one.measured]
        assert one.scores.wer == pytest.approx(jiwer.wer(references, [row.scored.hypothesis for row in one.measured]))
        assert one.audio_seconds == pytest.approx(sum(row.utterance.duration for row in one.measured), rel=1e-3)
    analysis = analyse(found[1])
    assert analysis.wer_by_speaker.speakers == len({row.speaker for row in dev})
    assert analysis.wer_by_speaker.interval is not None
    ratios = [ratio for ratio in analysis.ratios.values() if ratio is not None]
    assert len(ratios) == 30
    assert all(10 < ratio < 90 for ratio in ratios)
    (rates,) = (table for table in analysis.tables if table.name == "rate")
    assert sum(row.utterances for row in rates.rows) == 30
    check_players(evaluation_report(analysis, audio=8), dev, 8)
    check_players(comparison_report(compare(found), audio=3), dev, 3)


def check_players(html: str, dev: Manifest, count: int) -> None:
    """Each player's sound lasts as long as its recording."""
    lengths = {row.id: audio.duration(row.audio) for row in dev}
    players = re.findall(r'<audio [^>]*Recording of ([^"]+)" src="data:audio/ogg;base64,([^"]+)"', html)
    assert len(players) == count
    for identity, data in players:
        sound = soundfile.info(io.BytesIO(base64.b64decode(data)))
        assert sound.duration == pytest.approx(lengths[identity], abs=0.05)
