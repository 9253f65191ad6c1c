"""Models to test with."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def novel() -> Path:
    """A text of 110 sentences."""
    return DATA / "novel.txt"


@pytest.fixture
def write_text(tmp_path: Path) -> Callable[..., Path]:
    """Write a text of random words: ``write_text("a.txt", sentences=50, words=8, seed=1)``."""

    def write(name: str, sentences: int, words: int = 8, seed: int = 1) -> Path:
        chance = random.Random(seed)
        vocabulary = [chr(ord("a") + n) * 2 for n in range(words)]
        weights = [1 / (n + 1) for n in range(words)]
        lines = [" ".join(chance.choices(vocabulary, weights, k=chance.randint(1, 7))) for _ in range(sentences)]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
