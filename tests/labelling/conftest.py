"""Recordings of tones, and what starts the command."""

from collections.abc import Callable, Iterator
from functools import partial
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
def run(tmp_path: Path) -> Iterator[Callable[..., Labelling]]:
    """Starts a command, ``run("label", …)``, which ends with the test."""
    started = []

    def start(*arguments: object) -> Labelling:
        started.append(Labelling(tmp_path, *map(str, arguments)))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def label(run: Callable[..., Labelling]) -> Callable[..., Labelling]:
    return partial(run, "label")


@pytest.fixture
def record(run: Callable[..., Labelling]) -> Callable[..., Labelling]:
    return partial(run, "record")
