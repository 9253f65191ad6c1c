"""Jasper and QuartzNet: the sizes of their papers, and batch normalisation that does not see padding."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from steno.features.config import FeatureConfig
from steno.models.config import JasperConfig, ModelConfig, QuartzNetConfig
from steno.models.layers import MaskedBatchNorm, frozen_statistics, statistics
from steno.models.quartznet import _separable
from steno.models.registry import build_encoder


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (QuartzNetConfig(), 6.7),
        (QuartzNetConfig(each=2), 12.8),
        (QuartzNetConfig(each=3), 18.9),
        (JasperConfig(), 333),
    ],
    ids=["quartznet 5x5", "quartznet 10x5", "quartznet 15x5", "jasper 10x5 DR"],
)
@pytest.mark.parametrize("features", [64, 80])
def test_the_papers_sizes(config: ModelConfig, millions: float, features: int) -> None:
    """Table 1 of Kriman et al.; Li et al., section 4.1. Both spell 28 characters and a blank."""
    with torch.device("meta"):
        model = build_encoder(FeatureConfig(n_mels=features), 29, config)
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.05 if millions < 100 else 0.5)


@pytest.mark.parametrize(("config", "blocks"), [(QuartzNetConfig(each=3), 15), (JasperConfig(), 10)])
def test_blocks_and_their_residuals(config: ModelConfig, blocks: int) -> None:
    with torch.device("meta"):
        model = build_encoder(FeatureConfig(), 29, config)
    counts = [len(block.residuals) for block in model.blocks]  # type: ignore[union-attr]
    assert counts == ([1] * 15 if blocks == 15 else list(range(1, 11)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"channels": (8, 8)}, "differ in number"),
        ({"stem_kernel": 4}, "kernel 4 is even"),
        ({"kernels": (3, 4, 5, 7, 9)}, "kernel 4 is even"),
        ({"norm": "group"}, "norm"),
    ],
)
def test_sizes_that_cannot_be(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        JasperConfig.model_validate(change)


# ---- batch normalisation ---------------------------------------------------------------------------------------


def test_without_padding_it_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = MaskedBatchNorm(6), nn.BatchNorm1d(6, eps=1e-3)
    for _ in range(3):
        x = 2 * torch.randn(4, 6, 9) + 1
        torch.testing.assert_close(ours(x, torch.full((4,), 9)), theirs(x))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    x = torch.randn(2, 6, 5)
    torch.testing.assert_close(ours.eval()(x, torch.tensor([5, 3])), theirs.eval()(x))


def test_padding_is_not_seen() -> None:
    torch.manual_seed(0)
    x, frames = torch.randn(3, 6, 9), torch.tensor([9, 4, 1])
    norm, other = MaskedBatchNorm(6), MaskedBatchNorm(6)
    spoiled = x.clone()
    spoiled[1, :, 4:] = 1000.0
    found, same = norm(x, frames), other(spoiled, frames)
    torch.testing.assert_close(found[1, :, :4], same[1, :, :4])
    torch.testing.assert_close(norm.running_var, other.running_var)
    inside = torch.cat([found[row, :, :count] for row, count in enumerate(frames.tolist())], dim=1)
    torch.testing.assert_close(inside.mean(dim=1), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(inside.var(dim=1, correction=0), torch.ones(6), atol=1e-2, rtol=0)


def test_one_frame_is_normalised_too() -> None:
    norm = MaskedBatchNorm(3)
    assert norm(torch.randn(1, 3, 1), torch.tensor([1])).isfinite().all()
    assert norm.running_var.isfinite().all()


def test_bf16_keeps_its_statistics_exact() -> None:
    torch.manual_seed(0)
    x = (torch.randn(2, 3, 40) + 50).bfloat16()
    norm, exact = MaskedBatchNorm(3), MaskedBatchNorm(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = norm(x, torch.tensor([40, 30]))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact(x.float(), torch.tensor([40, 30])), atol=2e-2, rtol=1e-2)
    torch.testing.assert_close(norm.running_mean, exact.running_mean)


def test_frozen_statistics_stay_as_they_are() -> None:
    norm = nn.Sequential(MaskedBatchNorm(3))
    before = {name: value.clone() for name, value in statistics(norm).items()}
    x, frames = torch.randn(2, 3, 8), torch.tensor([8, 8])
    with frozen_statistics(norm):
        norm[0](x, frames)
    assert all(torch.equal(value, before[name]) for name, value in statistics(norm).items())
    norm[0](x, frames)
    assert set(before) == {"0.running_mean", "0.running_var"}
    assert not any(torch.equal(value, before[name]) for name, value in statistics(norm).items())


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(5, 1, 1), (33, 2, 1), (7, 3, 1), (5, 1, 2), (87, 1, 3)])
@pytest.mark.parametrize("time", [1, 2, 7, 50])
def test_a_convolution_over_time_is_torchs(kernel: int, stride: int, dilation: int, time: int) -> None:
    """In what it gives and in its gradients, however it is computed."""
    torch.manual_seed(0)
    ours = _separable(6, 4, kernel, stride, dilation)[0]  # type: ignore[index]
    theirs = nn.Conv1d(6, 6, kernel, stride, dilation * (kernel - 1) // 2, dilation, groups=6, bias=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, time, requires_grad=True)
    found, expected = ours(x), theirs(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    gradient = torch.randn_like(expected)
    inputs = [torch.autograd.grad(y, [x, layer.weight], gradient) for y, layer in ((found, ours), (expected, theirs))]
    for one, other in zip(*inputs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
