"""The benchmarks run, and say what they say they do. No time is asserted."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.text import CharTokenizer

ROOT = Path(__file__).resolve().parents[2]
Load = Callable[[str], ModuleType]
BENCHMARKS = ROOT / "benchmarks"
SMALL = ["model.channels=8", "model.rnn_size=8", "model.rnn_layers=1", "data.workers=0", "data.batch_size=2"]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import a script of the benchmarks by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Six recordings of faint noise, 1.0 s to 1.5 s, with text."""
    rows = []
    for n in range(6):
        path = tmp_path / f"u{n}.wav"
        samples = 0.05 * np.random.default_rng(n).standard_normal(16_000 + 1_600 * n)
        soundfile.write(path, samples.astype(np.float32), 16_000)
        rows.append(Utterance(f"u{n}", path, len(samples) / 16_000, "a cat"))
    write_manifest(tmp_path / "all.jsonl", rows)
    return tmp_path / "all.jsonl"


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "COLUMNS": "100"})


def test_both_loops_train_on_the_same_audio_and_are_scored(manifest: Path) -> None:
    options = ["--train", manifest, "--dev", manifest, "--recipe", ROOT / "recipes/demo.yaml", "--threads", 1]
    done = script("training_throughput.py", *options, "--hours", 0.004, "--passes", 2, "--dev-utterances", 2, *SMALL)
    assert done.returncode == 0, done.stderr
    turns = re.findall(r"^(steno|textbook) +pass (\d):", done.stdout, flags=re.MULTILINE)
    assert turns == [("steno", "1"), ("textbook", "1"), ("textbook", "2"), ("steno", "2")]
    for row in ("audio hours an hour", "dev WER", "dev CER"):
        assert row in done.stdout
    hours = re.search(r"audio \(hours\)\W+([\d.]+)\W+([\d.]+)", done.stdout)
    assert hours is not None
    assert hours[1] == hours[2]
    assert "31,783,517" in done.stdout


def test_a_manifest_without_its_partner_is_refused(manifest: Path) -> None:
    done = script("training_throughput.py", "--train", manifest)
    assert done.returncode == 2
    assert "--dev" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_start_of_the_command_line_is_compared() -> None:
    done = script("startup.py", "--runs", 1)
    assert done.returncode == 0, done.stderr
    assert re.search(r"steno --help is [\d.]+ times as fast", done.stdout)


def test_a_subset_is_about_as_long_as_asked_and_the_same_each_time(load: Load, manifest: Path) -> None:
    throughput = load("training_throughput")
    utterances = list(Manifest(manifest))
    chosen = throughput.draw(utterances, 4 / 3600, seed=1)
    assert chosen == throughput.draw(utterances, 4 / 3600, seed=1)
    assert 0 < throughput.total_hours(chosen) <= 4 / 3600
    assert len(throughput.draw(utterances, 1.0, seed=1)) == len(utterances)
    assert [u.id for u in throughput.usable(manifest, 1.25)] == ["u0", "u1", "u2"]


def test_the_ratio_is_that_of_the_median_pass(load: Load) -> None:
    throughput = load("training_throughput")
    run = throughput.Comparison(0.5, 1)
    run.textbook.passes, run.steno.passes = [60.0, 80.0, 7000.0], [10.0, 10.0, 10.0]
    assert run.ratio == 8.0
    assert run.textbook.speed(run.hours) == pytest.approx(0.5 * 3600 / 80)


def test_the_textbook_has_the_classic_frames_and_learns(load: Load, manifest: Path) -> None:
    textbook = load("textbook")
    utterances = list(Manifest(manifest))
    features_tf, labels_l = textbook.Mfccs(utterances, CharTokenizer())[0]
    assert features_tf.shape == (81, 128)  # 80 frames a second, and one for the centred edge
    assert len(labels_l) == len("a cat")
    frames_b = torch.tensor([80, 81])
    assert textbook.output_frames(frames_b).tolist() == [40, 41]
    loop = textbook.TextbookLoop(utterances[:2], CharTokenizer(), 3, seed=1)
    with torch.inference_mode():
        assert loop.model(features_tf[None]).shape == (1, 41, 29)
    losses = [loop.train_epoch() for _ in range(3)]
    assert losses[-1] < losses[0]


def test_families_are_compared_and_the_best_gets_more_seeds(manifest: Path, tmp_path: Path) -> None:
    command = ["--to", tmp_path / "out", "--train", manifest, "--dev", manifest, "--test", manifest, "--epochs", 1]
    recipes = [ROOT / "recipes" / f"{name}.yaml" for name in ("librispeech-2000", "demo-stream")]
    command += ["--winners", 1, "--seeds", 2, *recipes, *SMALL]
    done = script("families.py", *command)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ") and "family" not in line]
    assert {row.split(" | ")[1] for row in rows} == {"`rescnn-bigru`", "`rescnn-gru-stream`"}
    assert {row.split(" | ")[3] for row in rows} == {"yes", "no"}
    assert rows[0].count("%") > rows[1].count("%")  # the best has two seeds
    assert (tmp_path / "out" / "families.svg").is_file()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/model/model.onnx")}
    assert len(kept) == 3
    again = script("families.py", *command)
    assert again.stdout == done.stdout
    assert kept == {path: path.stat().st_mtime_ns for path in kept}  # nothing was trained twice
    other = script("families.py", *command, "training.grad_clip=1")
    assert other.returncode == 2
    assert "was trained with other settings" in other.stderr


def test_families_need_all_manifests_or_none(manifest: Path, tmp_path: Path) -> None:
    done = script("families.py", "--to", tmp_path, "--train", manifest)
    assert done.returncode == 2
    assert "belong together" in done.stderr
