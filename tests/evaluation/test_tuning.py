"""Confidences are calibrated, and a language model's weights found, on a dev set."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import tiny
import yaml

from steno import audio
from steno.data.manifest import Manifest
from steno.decoding.words import calibrated
from steno.errors import LanguageModelError
from steno.evaluation.emissions import emissions
from steno.evaluation.tuning import calibrate
from steno.runtime import DecodingOptions, Recognizer


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def lm(steno: Callable[..., Any], tones: Path, tmp_path: Path) -> Path:
    """A language model of the training texts."""
    text = tmp_path / "text.txt"
    text.write_text("\n".join(u.text or "" for u in Manifest(tones / "train.jsonl")) + "\n")
    ran = steno("lm", "build", text, "-o", tmp_path / "tones.bin", "--order", 2, "--alphabet", tiny.ALPHABET)
    assert ran.code == 0, ran.err
    return tmp_path / "tones.bin"


def test_calibration_finds_the_truth() -> None:
    generator = np.random.default_rng(0)
    raw = generator.uniform(0.05, 0.999, 20_000)
    truth = 1 / (1 + np.exp(-(0.5 * np.log(raw / (1 - raw)) - 0.7)))
    judged = [(float(p), bool(good)) for p, good in zip(raw, generator.random(len(raw)) < truth, strict=True)]
    found = calibrate(judged)
    assert found is not None
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.offset == pytest.approx(-0.7, abs=0.08)
    error = np.mean([abs(calibrated(p, found) - t) for p, t in zip(raw.tolist(), truth.tolist(), strict=True)])
    assert error < 0.02


def test_scores_that_say_nothing_become_the_share_of_right_words() -> None:
    generator = np.random.default_rng(1)
    judged = [(0.9, bool(good)) for good in generator.random(500) < 0.3] + [(0.2, True)] * 60
    found = calibrate(judged)
    assert found is not None
    share = np.mean([good for _, good in judged])
    assert calibrated(0.5, found) == pytest.approx(share, abs=0.01)
    assert calibrate([(0.5, True)] * 10) is None
    assert calibrate([]) is None


def test_emissions_are_computed_once(model: Path, tones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = Recognizer(model)
    manifest = Manifest(tones / "dev.jsonl")
    first = emissions(recognizer, model, manifest)
    expected = recognizer.emissions([audio.load(u.audio) for u in manifest])
    for found, wanted in zip(first, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(Recognizer, "emissions", never)
    again = emissions(recognizer, model, manifest)
    assert again.references == first.references
    np.testing.assert_array_equal(again.log_probs, first.log_probs)


def test_tune_keeps_what_it_found(
    steno: Callable[..., Any], model: Path, tones: Path, lm: Path, tmp_path: Path
) -> None:
    tuned = tmp_path / "tuned"
    ran = steno(
        *("lm", "tune", model, "--lm", lm, "--data", tones / "dev.jsonl", "--to", tuned, "--trials", 3),
        *("--surface", tmp_path / "surface.json"),
    )
    assert ran.code == 0, ran.err
    trials = orjson.loads((tmp_path / "surface.json").read_bytes())
    assert len(trials) == 3
    best = min(trials, key=lambda trial: trial["wer"])
    stored = yaml.safe_load((tuned / "config.yaml").read_text())
    weights = ("lm_weight", "word_score", "prior_weight")
    assert [stored["decoding"][name] for name in weights] == [best[name] for name in weights]
    assert len({trial["prior_weight"] for trial in trials}) > 1
    assert sum(np.exp(stored["decoding"]["label_prior"])) == pytest.approx(1, abs=0.01)
    assert stored["decoding"]["method"] == "beam"
    assert stored["files"]["lm.bin"]
    assert "## Decoding" in (tuned / "README.md").read_text()
    manifest = Manifest(tones / "dev.jsonl")
    recognizer = Recognizer(tuned)
    texts = [t.text for t in recognizer.transcribe([audio.load(u.audio) for u in manifest])]
    vocabulary = {word for u in Manifest(tones / "train.jsonl") for word in (u.text or "").split()}
    assert {word for text in texts for word in text.split()} <= vocabulary, "only words of the language model"
    assert Recognizer(tuned, decoding=DecodingOptions(method="greedy")).decoding.lm is None
    (tuned / "lm.bin").write_bytes(b"other")
    assert steno("transcribe", next(iter(manifest)).audio, "--model", tuned).code == 2


def test_tune_refuses_what_cannot_be(
    steno: Callable[..., Any], model: Path, tones: Path, lm: Path, tmp_path: Path
) -> None:
    dev = tones / "dev.jsonl"
    foreign = tmp_path / "foreign.txt"
    foreign.write_text("xyz zyx\n" * 20)
    assert steno("lm", "build", foreign, "-o", tmp_path / "foreign.bin", "--order", 2).code == 0
    ran = steno("lm", "tune", model, "--lm", tmp_path / "foreign.bin", "--data", dev, "--to", tmp_path / "a")
    assert ran.code == 2
    assert "does not fit the alphabet" in ran.err
    assert not (tmp_path / "a").exists()
    (tmp_path / "there").mkdir()
    assert "is there already" in steno("lm", "tune", model, "--lm", lm, "--data", dev, "--to", tmp_path / "there").err
    for elsewhere in ("models:/x@y", "s3://bucket/model", "small-en"):
        assert "--to" in steno("lm", "tune", elsewhere, "--lm", lm, "--data", dev).err
    with pytest.raises(LanguageModelError):
        Recognizer(model, decoding=DecodingOptions(lm=str(tmp_path / "none.bin")))


def test_a_language_model_of_characters_knows_any_word(
    steno: Callable[..., Any], model: Path, tones: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("ab cd\nba dc\nabcd\n" * 5)
    built = steno(
        *("lm", "build", text, "-o", tmp_path / "c.bin", "--units", "characters", "--order", 3),
        *("--alphabet", tiny.ALPHABET),
    )
    assert built.code == 0, built.err
    utterance = next(u for u in Manifest(tones / "dev.jsonl") if len(u.text or "") > 3)
    open_words = Recognizer(model, decoding=DecodingOptions(lm=str(tmp_path / "c.bin"), lm_weight=0.1))
    greedy = Recognizer(model)
    samples = audio.load(utterance.audio)
    assert open_words.transcribe([samples])[0].text == greedy.transcribe([samples])[0].text
    score = open_words.transcribe([samples])[0].score
    assert math.isfinite(score)
