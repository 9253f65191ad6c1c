"""What many tests share: a corpus of tones, a recogniser of it, and the command line."""

import os

# Before torch is loaded: threads that spin while they wait cost more than these small models do.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["OMP_NUM_THREADS"] = "1"

import io
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tiny


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl (24 utterances), dev.jsonl (6) and their recordings. Not to be changed."""
    folder = tmp_path_factory.mktemp("tones")
    tiny.corpus(folder, "train", 24, seed=1)
    tiny.corpus(folder, "dev", 6, seed=2)
    return folder


@pytest.fixture
def train_tiny(tones: Path, tmp_path: Path) -> Callable[..., Any]:
    """Train untracked: ``train_tiny("name", training={"epochs": 2})`` → (result, recorder)."""

    def train(
        name: str = "run", *, resume: bool = False, overwrite: bool = False, change: bool = False, **changes: Any
    ) -> Any:
        from steno.training.recipe import load_recipe
        from steno.training.run import train as run

        recorder = tiny.Recorder()
        recipe = load_recipe(tiny.write_recipe(tmp_path / f"{name}.yaml", tones, **changes))
        folder = tmp_path / name
        result = run(recipe, folder, display=recorder, resume=resume, overwrite=overwrite, change=change, tracked=False)
        return result, recorder

    return train


@pytest.fixture(scope="session")
def trained(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tiny.Recorder]:
    """The run folder of a recogniser that has learnt the tones, and what its training said. Not to be changed."""
    from steno.training.recipe import load_recipe
    from steno.training.run import train as run

    folder = tmp_path_factory.mktemp("trained")
    changes: dict[str, Any] = {
        "training": {"epochs": 25, "checkpoint_seconds": 1000, "keep_best": 2},
        "model": {"dropout": 0.0},
        "optimizer": {"lr": 0.02},
    }
    recorder = tiny.Recorder()
    recipe = load_recipe(tiny.write_recipe(folder / "tiny.yaml", tones, **changes))
    run(recipe, folder / "run", display=recorder, tracked=False)
    return folder / "run", recorder


@pytest.fixture
def model(trained: tuple[Path, tiny.Recorder]) -> Path:
    """The model folder of :func:`trained`. Not to be changed."""
    return trained[0] / "model"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command may set up logging for its process, to a stream that ends with its test."""
    loggers = [logging.getLogger(name) for name in (None, "steno", "uvicorn.error")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def steno(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process: ``steno("train", path, stdin=b"")`` → exit code, output, error output."""

    def run(*arguments: object, stdin: bytes = b"") -> Ran:
        from steno.cli import main

        monkeypatch.setattr(sys, "argv", ["steno", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return Ran(code, *capfd.readouterr())

    return run
