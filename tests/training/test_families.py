"""What training owes to families other than the first: running statistics of batch normalisation, above all."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from steno.models.layers import MaskedBatchNorm, statistics
from steno.training import checkpoint
from steno.training.averaging import ExponentialAverage
from steno.training.trainer import LAST, Trainer

QUARTZNET = {
    "architecture": "quartznet",
    "stem_channels": 8,
    "stem_kernel": 5,
    "stem_strides": [2, 2],
    "channels": [8],
    "kernels": [5],
    "dropouts": [0.1],
    "each": 2,
    "units": 2,
    "last_channels": [8, 8],
    "last_kernel": 3,
}


@pytest.mark.parametrize("average", ["ema", "best", "none"])
def test_running_statistics_go_with_the_weights(average: str, train_tiny: Any) -> None:
    """The folder holds those that were validated: of the averaged weights, where weights are averaged."""
    result, recorder = train_tiny(model=QUARTZNET, training={"epochs": 1, "average": average})
    tensors, _ = checkpoint.load(result.run_dir / LAST)
    validated = checkpoint.unprefixed("average" if average == "ema" else "model", tensors)
    found = load_file(result.model / "model.safetensors")
    running = [name for name in found if name.endswith(("running_mean", "running_var"))]
    assert len(running) == 2 * (1 + 2 * 3 + 2 + 1)  # stems, two blocks of two units and a residual, the end
    for name in running:
        torch.testing.assert_close(found[name], validated[name])
        fresh = torch.zeros_like if name.endswith("mean") else torch.ones_like
        assert not torch.equal(found[name], fresh(found[name]))
    assert result.scores["dev"].cer == pytest.approx(recorder.rows[-1]["dev_cer"])


def test_running_statistics_are_averaged_over_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    norm = MaskedBatchNorm(2)
    norm(torch.randn(2, 2, 9), torch.tensor([9, 9]))
    average = ExponentialAverage(norm, 0.9)
    before = {name: value.clone() for name, value in statistics(norm).items()}
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.add_(3.0))  # the other one has 3
    trainer = SimpleNamespace(_fabric=SimpleNamespace(world_size=2), model=norm, _average=average)
    Trainer._share_statistics(trainer)  # type: ignore[arg-type]
    for name, value in before.items():
        torch.testing.assert_close(statistics(norm)[name], (value + 3) / 2)
        torch.testing.assert_close(average.weights[name], (value + 3) / 2)
