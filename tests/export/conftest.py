"""Untrained models of every family, small."""

from pathlib import Path
from typing import Any

import pytest
import tiny


@pytest.fixture(scope="session")
def streaming(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a streaming recogniser that has hardly learnt the tones. Not to be changed."""
    from steno.training.recipe import load_recipe
    from steno.training.run import train

    folder = tmp_path_factory.mktemp("streaming")
    changes: dict[str, Any] = {
        "features": {"n_mels": 16, "normalize": "corpus"},
        "model": {
            "architecture": "rescnn-gru-stream",
            "lookahead_ms": 200,
            "channels": 32,
            "blocks": 1,
            "kernel": 3,
            "rnn_layers": 1,
            "rnn_size": 40,
            "dropout": 0.0,
        },
        "training": {"epochs": 4, "checkpoint_seconds": 1000},
        "optimizer": {"lr": 0.02},
    }
    recipe = load_recipe(tiny.write_recipe(folder / "tiny.yaml", tones, **changes))
    train(recipe, folder / "run", display=tiny.Recorder(), tracked=False)
    return folder / "run" / "model"
