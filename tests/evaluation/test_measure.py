"""A model measured on a manifest: everything that can be is scored, the rest is named."""

from pathlib import Path

from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.evaluation.measure import evaluate_manifest
from steno.runtime import Recognizer


def test_what_cannot_be_scored_is_named_and_the_rest_is_scored(tones: Path, model: Path, tmp_path: Path) -> None:
    rows = list(Manifest(tones / "dev.jsonl"))
    expected, none = evaluate_manifest(Recognizer(model), Manifest(tones / "dev.jsonl"))
    assert none == []
    extra = [
        Utterance("silent", rows[0].audio, 1.0, None),
        Utterance("blank", rows[0].audio, 1.0, " "),
        Utterance("gone", tmp_path / "gone.wav", 1.0, "ab"),
    ]
    write_manifest(tmp_path / "m.jsonl", [extra[0], *rows[:2], extra[2], *rows[2:], extra[1]])
    scores, left_out = evaluate_manifest(Recognizer(model), Manifest(tmp_path / "m.jsonl"))
    assert scores == expected
    assert {entry.id: entry.reason.partition(":")[0] for entry in left_out} == {
        "silent": "has no text",
        "blank": "has no text",
        "gone": str(tmp_path / "gone.wav"),
    }
