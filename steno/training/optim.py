"""Optimiser and schedule."""

from math import cos, pi

import torch
from torch import nn

from steno.training.recipe import OptimizerConfig, ScheduleConfig


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, scales: dict[str, float] | None = None
) -> torch.optim.AdamW:
    """AdamW over all parameters that are trained; biases and normalisation (one dimension) are not decayed.

    ``scales`` are factors of the learning rate of some parameters, by name.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            scale = (scales or {}).get(name, 1.0)
            groups.setdefault((-scale, parameter.ndim <= 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": 0.0 if plain else config.weight_decay, "scale": -negative}
            for (negative, plain), parameters in sorted(groups.items(), key=lambda entry: entry[0])
        ],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
    )


def one_cycle(progress: float, config: ScheduleConfig) -> float:
    """Factor of the peak learning rate at a point of the run, from 0 (start) to 1 (end)."""
    if progress < config.warmup:
        return _cosine(1 / config.start, 1.0, progress / config.warmup)
    rest = (progress - config.warmup) / max(1 - config.warmup, 1e-9)
    return _cosine(1.0, 1 / config.end, min(rest, 1.0))


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use this learning rate for every group, times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + cos(pi * progress)) / 2
