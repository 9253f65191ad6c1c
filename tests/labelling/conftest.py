"""Recordings of tones, and what starts the command."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
from labeller import Labelling

from steno.data.manifest import Utterance

TEXTS = {"first": "ab cd", "second": "dcb a", "third": "cab"}


@pytest.fixture
def recordings(tmp_path: Path) -> dict[str, Utterance]:
    """In ``recordings/``, and one that is none."""
    folder = tmp_path / "recordings"
    found = {name: tiny.record(folder / f"{name}.wav", text, 40 + n) for n, (name, text) in enumerate(TEXTS.items())}
    (folder / "broken.wav").write_bytes(b"nothing")
    return found


@pytest.fixture
def label(tmp_path: Path) -> Iterator[Callable[..., Labelling]]:
    started = []

    def start(*arguments: object) -> Labelling:
        started.append(Labelling(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
