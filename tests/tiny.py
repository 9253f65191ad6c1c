"""A language of four letters, each a tone, and the smallest recogniser that learns it: what the tests train on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from steno.data.manifest import Utterance, write_manifest

RATE = 16_000
ALPHABET = " abcd"
TONES = {"a": 400.0, "b": 800.0, "c": 1600.0, "d": 3200.0}  # Hz


def speak(text: str, seed: int = 0) -> np.ndarray:
    """Samples (N,): 0.09 s of tone and 0.05 s of pause a letter, 0.14 s of pause a space, in faint noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(0.09 * RATE)) / RATE
    edge = np.minimum(1.0, np.minimum(time, time[::-1]) / 0.01)
    parts = [np.zeros(int(0.06 * RATE))]
    for letter in text:
        tone = 0.3 * edge * np.sin(2 * np.pi * TONES[letter] * time) if letter != " " else np.zeros(len(time))
        parts += [tone, np.zeros(int(0.05 * RATE))]
    samples = np.concatenate(parts)
    return (samples + 0.001 * generator.standard_normal(len(samples))).astype(np.float32)


def sentence(generator: np.random.Generator) -> str:
    """One to three words of one to three letters."""
    return " ".join(
        "".join(generator.choice(list("abcd"), generator.integers(1, 4))) for _ in range(generator.integers(1, 4))
    )


def record(path: Path, text: str, seed: int = 0) -> Utterance:
    """Write a recording and return its utterance, whose id is the file's stem."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = speak(text, seed)
    soundfile.write(path, samples, RATE)
    return Utterance(path.stem, path, len(samples) / RATE, text)


def corpus(folder: Path, name: str, count: int, seed: int) -> Path:
    """A manifest of ``count`` recordings."""
    generator = np.random.default_rng(seed)
    rows = [record(folder / name / f"{name}-{n:02d}.wav", sentence(generator), 100 * seed + n) for n in range(count)]
    write_manifest(folder / f"{name}.jsonl", rows)
    return folder / f"{name}.jsonl"


def recipe(tones: Path, **changes: Any) -> dict[str, Any]:
    """The smallest recipe; ``changes`` replace keys of its sections, ``training={"epochs": 3}``.

    A model that names its architecture replaces the whole section: the sizes here are another family's.
    """
    plain: dict[str, Any] = {
        "name": "tiny",
        "seed": 3,
        "data": {
            "train": str(tones / "train.jsonl"),
            "dev": str(tones / "dev.jsonl"),
            "batch_size": 4,
            "batch_seconds": 20,
            "workers": 0,
        },
        "features": {"kind": "log-mel", "n_mels": 16},
        "tokenizer": {"alphabet": ALPHABET},
        "model": {
            "channels": 4,
            "stem_strides": [2, 2],
            "blocks": 1,
            "rnn_layers": 1,
            "rnn_size": 24,
            "dropout": 0.1,
        },
        "optimizer": {"lr": 0.01},
        "training": {
            "epochs": 3,
            "device": "cpu",
            "precision": "32",
            "average": "ema",
            "ema_decay": 0.9,
            "checkpoint_seconds": 0,
            "examples": 1,
        },
    }
    for section, values in changes.items():
        former = {} if section == "model" and "architecture" in values else plain.get(section, {})
        plain[section] = {**former, **values} if isinstance(values, dict) else values
    return plain


def write_recipe(path: Path, tones: Path, **changes: Any) -> Path:
    """:func:`recipe` as a YAML file."""
    path.write_text(yaml.safe_dump(recipe(tones, **changes)))
    return path


class Recorder:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.messages: list[str] = []
        self.rows: list[dict[str, float]] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def epoch(self, number: int, epochs: int, batches: int, done: int) -> None: ...

    def step(self, loss: float, audio_seconds: float, progress: float) -> None:
        self.losses.append(loss)

    def summary(self, number: int, row: dict[str, float], examples: list[tuple[str, str]]) -> None:
        self.rows.append(row)

    def close(self) -> None: ...

    def said(self, part: str) -> Sequence[str]:
        """The messages that contain a text."""
        return [message for message in self.messages if part in message]
