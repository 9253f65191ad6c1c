"""A streaming recogniser that has learnt the tones."""

from pathlib import Path
from typing import Any

import pytest
import tiny

from steno.runtime import Recognizer


@pytest.fixture(scope="session")
def stream_model(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its model folder. Not to be changed."""
    from steno.training.recipe import load_recipe
    from steno.training.run import train as run

    folder = tmp_path_factory.mktemp("stream")
    changes: dict[str, Any] = {
        "model": {
            "architecture": "rescnn-gru-stream",
            "lookahead_ms": 160,
            "channels": 24,
            "blocks": 1,
            "rnn_layers": 1,
            "rnn_size": 32,
            "dropout": 0.0,
        },
        "optimizer": {"lr": 0.02},
        "training": {"epochs": 16, "checkpoint_seconds": 1000, "keep_best": 1},
    }
    recipe = load_recipe(tiny.write_recipe(folder / "tiny.yaml", tones, **changes))
    run(recipe, folder / "run", display=tiny.Recorder(), tracked=False)
    return folder / "run" / "model"


@pytest.fixture(scope="session")
def listener(stream_model: Path) -> Recognizer:
    """A recogniser of the streaming model."""
    return Recognizer(stream_model, threads=1)


@pytest.fixture
def offline(model: Path) -> Recognizer:
    """A recogniser of a model that is not a streaming one."""
    return Recognizer(model, threads=1)
