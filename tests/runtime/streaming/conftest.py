"""Streaming recognisers that have learnt the tones."""

from pathlib import Path
from typing import Any

import pytest
import tiny

from steno.runtime import Recognizer

FAMILIES: dict[str, dict[str, Any]] = {
    "rescnn-gru-stream": {
        "lookahead_ms": 160,
        "channels": 24,
        "blocks": 1,
        "rnn_layers": 1,
        "rnn_size": 32,
        "dropout": 0.0,
    },
    "conformer": {
        "size": 32,
        "layers": 2,
        "heads": 2,
        "kernel": 5,
        "stem_channels": 8,
        "squeeze": [2, 2],
        "chunk_frames": 6,
        "left_chunks": 2,
        "causal": True,
        "dropout": 0.0,
    },
}


@pytest.fixture(scope="session", params=FAMILIES)
def stream_model(request: pytest.FixtureRequest, tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of each. Not to be changed."""
    from steno.training.recipe import load_recipe
    from steno.training.run import train as run

    folder = tmp_path_factory.mktemp("stream")
    changes: dict[str, Any] = {
        "model": {"architecture": request.param, **FAMILIES[request.param]},
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
