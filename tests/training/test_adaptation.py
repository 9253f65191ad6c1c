"""A model learns words from text: `steno lm adapt`, and `steno lm train --from`."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from steno.lm import open_lm
from steno.runtime import Recognizer, bundled
from steno.runtime.folder import read_config
from steno.runtime.neural_lm import NeuralLM

pytest.importorskip("espeakng_loader")
pytest.importorskip("flashlight.lib.text")

BUNDLED = bundled.folder(bundled.DEFAULT)
assert BUNDLED is not None


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A field of its own: valves, one of them with a name that nobody knows."""
    choice = random.Random(1)
    parts = ["inlet", "outlet", "relief", "zorblax"]
    ends = ["before the pump starts", "after the flange is tight", "when the gauge reads low", "and drain the sump"]
    lines = [f"Close the {choice.choice(parts)} valve {choice.choice(ends)}, then log 7 psi." for _ in range(160)]
    path = tmp_path_factory.mktemp("text") / "manual.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_model_learns_its_users_words(steno: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    ran = steno("lm", "adapt", text, "--to", tmp_path / "mine", "--epochs", 2)
    assert ran.code == 0, ran.err
    assert "new words   " in ran.out
    assert "zorblax" in ran.out
    assert "the model cannot spell 1: 7" in ran.out
    assert "no sound" not in ran.out
    held = next(line for line in ran.out.splitlines() if line.startswith("held out")).replace(",", "").split()
    before, after = float(held[3]), float(held[5].rstrip(";"))
    assert after < before / 3
    folder = tmp_path / "mine"
    assert "zorblax" in open_lm(folder / "lm.bin").words()
    assert "chamberlain" in open_lm(folder / "lm.bin").words()  # what it knew before it knows still
    sentence = ["close the zorblax valve before the pump starts"]
    general, own = (NeuralLM(place / "neural-lm.onnx").log_likelihoods(sentence)[0] for place in (BUNDLED, folder))
    assert own > general + 5
    config, was = read_config(folder), read_config(BUNDLED)
    assert config.decoding == was.decoding
    noted = config.provenance["decoding"]["adapted"]
    assert noted["texts"][0]["file"] == str(text)
    assert noted["new_words"] >= 1
    card = (folder / "README.md").read_text()
    assert "## Adapted to a text" in card
    Recognizer(folder, threads=1)


def test_a_share_of_nothing_changes_no_probability(steno: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    ran = steno("lm", "adapt", text, "--to", tmp_path / "mine", "--share", 0, "--epochs", 0)
    assert ran.code == 0, ran.err
    assert "n-grams     0%" in ran.out
    (tmp_path / "dev.txt").write_text("he was not at home\nthe chamberlain came\n")
    found = [steno("lm", "score", place / "lm.bin", tmp_path / "dev.txt").out for place in (BUNDLED, tmp_path / "mine")]
    was, now = (float(out.split("without the unknown ")[1]) for out in found)
    assert now == pytest.approx(was, rel=0.03)
    assert (tmp_path / "mine" / "neural-lm.onnx").read_bytes() == (BUNDLED / "neural-lm.onnx").read_bytes()


def test_the_users_own_pronunciations_are_taken(steno: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    (tmp_path / "lexicon.tsv").write_text("zorblax\tz ɔː\n")
    command = ("lm", "adapt", text, "--to", tmp_path / "mine", "--epochs", 0, "--lexicon", tmp_path / "lexicon.tsv")
    assert steno(*command).code == 0
    import gzip

    assert "zorblax\tz ɔː\n" in gzip.decompress((tmp_path / "mine" / "pronunciations.tsv.gz").read_bytes()).decode()


def test_what_cannot_learn_is_said(steno: Callable[..., Any], text: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("close the valve\n" * 20)
    (tmp_path / "there").mkdir()
    for arguments, told in (
        ((text, "--model", model), "has no language model that could learn"),
        ((tmp_path / "short.txt",), "20 lines of text are too few"),
        ((tmp_path / "none.txt",), "none.txt"),
        ((text, "--model", tmp_path / "none"), "no such model folder"),
    ):
        ran = steno("lm", "adapt", *arguments, "--to", tmp_path / "new")
        assert ran.code == 2, arguments
        assert told in ran.err
        assert not (tmp_path / "new").exists()
    assert "is there already" in steno("lm", "adapt", text, "--to", tmp_path / "there").err


def test_a_neural_language_model_is_trained_on(steno: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    dev = tmp_path / "dev.txt"
    dev.write_text("close the relief valve when the gauge reads low\n")
    common = ("lm", "train", text, "-o", tmp_path / "own.onnx", "--from", "small-en", "--no-track", "--dev", dev)
    ran = steno(*common, "--lr", 0.0003, "--batch", 4, "--epochs", 3)
    assert ran.code == 0, ran.err
    start, own = NeuralLM(BUNDLED / "neural-lm.onnx"), NeuralLM(tmp_path / "own.onnx")
    assert own.tokenizer.pieces == start.tokenizer.pieces
    assert own.about["start"].endswith("neural-lm.onnx")
    assert own.log_likelihoods([dev.read_text().strip()])[0] > start.log_likelihoods([dev.read_text().strip()])[0] + 2
    refused = steno(*common, "--size", 64)
    assert refused.code == 2
    assert "Leave out --size" in refused.err
    (tmp_path / "no.onnx").write_bytes(b"")
    assert (
        "is no neural language model" in steno(*common[:4], tmp_path / "own.onnx", "--from", tmp_path / "no.onnx").err
    )


def test_a_model_stands_for_its_language_models(steno: Callable[..., Any], model: Path, tones: Path) -> None:
    ran = steno("lm", "tune", model, "--lm", model, "--data", tones / "dev.jsonl", "--to", "never")
    assert ran.code == 2
    assert "has no language model" in ran.err
    assert yaml.safe_load((model / "config.yaml").read_text())["decoding"]["lm"] is None
