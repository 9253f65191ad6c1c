"""Confidences are calibrated, and a language model's weights found, on a dev set."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import tiny
import yaml

from steno import audio
from steno.data.manifest import Manifest, write_manifest
from steno.decoding.words import calibrated
from steno.errors import LanguageModelError
from steno.evaluation.emissions import emissions
from steno.evaluation.tuning import calibrate, tune
from steno.runtime import DecodingOptions, Recognizer
from steno.runtime.folder import NEURAL_LM, DecodingFiles, read_config, with_decoding


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


def test_what_changed_or_failed_is_computed_again(model: Path, tmp_path: Path) -> None:
    recognizer, path = Recognizer(model), tmp_path / "m.jsonl"
    one, two = tiny.record(tmp_path / "one.wav", "ab"), tiny.record(tmp_path / "two.wav", "cd")
    write_manifest(path, [one, two])
    two.audio.rename(tmp_path / "away.wav")
    assert set(emissions(recognizer, model, Manifest(path)).left_out) == {"two"}
    (tmp_path / "away.wav").rename(two.audio)
    first = emissions(recognizer, model, Manifest(path))
    assert not first.left_out
    tiny.record(tmp_path / "two.wav", "dcba")
    assert len(emissions(recognizer, model, Manifest(path)).log_probs) != len(first.log_probs)


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


def test_a_language_model_that_knows_the_dev_set_is_noticed(
    steno: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    generator = np.random.default_rng(9)
    texts = [" ".join("".join(generator.choice([*"abcd"], 2)) for _ in range(11)) for _ in range(24)]
    dev = tmp_path / "dev.jsonl"
    write_manifest(dev, [tiny.record(tmp_path / f"{n}.wav", text, n) for n, text in enumerate(texts[:3])])
    for name, known in (("with", texts), ("without", texts[3:])):
        (tmp_path / f"{name}.txt").write_text("\n".join(known) + "\n")
        lm, to = tmp_path / f"{name}.bin", tmp_path / name
        built = steno("lm", "build", tmp_path / f"{name}.txt", "-o", lm, "--order", 3, "--alphabet", tiny.ALPHABET)
        assert built.code == 0, built.err
        ran = steno("lm", "tune", model, "--lm", lm, "--data", dev, "--to", to, "--trials", 1)
        assert ran.code == 0, ran.err
        said = "with.bin holds 3 of the 3 dev utterances of 10 words or more, n-gram for n-gram"
        assert (said in ran.err) == (name == "with")


class Oracle:
    """A language model that has read the references."""

    def __init__(self, references: Sequence[str]) -> None:
        self.references = set(references)

    def log_likelihoods(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([0.0 if text in self.references else -5.0 for text in texts])


def test_a_neural_language_model_is_weighed(model: Path, tones: Path, lm: Path) -> None:
    recognizer = Recognizer(model)
    clean = emissions(recognizer, model, Manifest(tones / "train.jsonl"))
    noise = np.random.default_rng(0).normal(scale=4.0, size=clean.log_probs.shape)
    logits = clean.log_probs + noise
    noisy = replace(clean, log_probs=(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32))
    without = tune(recognizer, noisy, lm, "lm.bin", trials=3)
    found = tune(recognizer, noisy, lm, "lm.bin", trials=3, neural=Oracle(clean.references))
    assert without.scores.wer > found.scores.wer
    assert found.config.neural_weight > 0
    assert not without.neural
    assert found.neural[0.0] > found.scores.wer
    assert min(found.neural.values()) == pytest.approx(found.scores.wer)
    nobody = tune(recognizer, noisy, lm, "lm.bin", trials=3, neural=Oracle(()))
    assert nobody.config.neural_weight == 0


def test_a_folder_takes_its_neural_language_model_along(
    steno: Callable[..., Any], model: Path, tones: Path, lm: Path, tmp_path: Path
) -> None:
    text, neural = tmp_path / "text.txt", tmp_path / "made.onnx"
    options = ("--no-track", "--size", 64, "--layers", 1, "--pieces", 16, "--alphabet", tiny.ALPHABET, "--epochs", 0.1)
    text.write_text("ab cd ba dc\n" * 500)
    assert steno("lm", "train", text, "-o", neural, *options).code == 0
    tuned = tmp_path / "tuned"
    ran = steno(
        *("lm", "tune", model, "--lm", lm, "--data", tones / "dev.jsonl", "--to", tuned, "--trials", 1),
        *("--neural", neural),
    )
    assert ran.code == 0, ran.err
    assert "neural LM   0:" in ran.out
    # These tones may need no second pass: whatever was found, give it one.
    stored = read_config(tuned).decoding.model_copy(
        update={"neural_lm": NEURAL_LM, "neural_weight": 0.5, "neural_share": 0.5}
    )
    with_decoding(tuned, tmp_path / "given", stored, DecodingFiles(lm, neural=neural), {}, "told")
    audio_file = next(iter(Manifest(tones / "dev.jsonl"))).audio
    with_it = steno("transcribe", audio_file, "--model", tmp_path / "given")
    assert with_it.code == 0, with_it.err
    copied = tmp_path / "copied"
    assert steno("export", tmp_path / "given", "--to", copied, "--format", "onnx").code == 0
    assert (copied / NEURAL_LM).read_bytes() == neural.read_bytes()
    (copied / NEURAL_LM).write_bytes(b"other")
    assert "SHA-256" in steno("transcribe", audio_file, "--model", copied).err
    assert steno("transcribe", audio_file, "--model", copied, "--neural-weight", 0).code == 0
    without = stored.model_copy(update={"neural_lm": None})
    with_decoding(tmp_path / "given", tmp_path / "given", without, DecodingFiles(lm), {}, "told")
    assert not (tmp_path / "given" / NEURAL_LM).exists()


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
    ran = steno("lm", "tune", model, "--lm", lm, "--data", dev, "--to", tmp_path / "a", "--neural", lm)
    assert ran.code == 2
    assert "is no neural language model" in ran.err
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
