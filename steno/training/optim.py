"""Optimiser and schedule."""

from math import cos, pi

import torch
from torch import nn

from steno.training.recipe import OptimizerConfig, ScheduleConfig


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over all parameters; biases and normalisation (one dimension) are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps)


def one_cycle(progress: float, config: ScheduleConfig) -> float:
    """Factor of the peak learning rate at a point of the run, from 0 (start) to 1 (end)."""
    if progress < config.warmup:
        return _cosine(1 / config.start, 1.0, progress / config.warmup)
    rest = (progress - config.warmup) / max(1 - config.warmup, 1e-9)
    return _cosine(1.0, 1 / config.end, min(rest, 1.0))


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use this learning rate for every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + cos(pi * progress)) / 2
