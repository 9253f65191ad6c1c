"""Optimiser and schedule."""

from math import cos, pi
from typing import Any

import torch
from torch import nn

from steno.errors import RecipeError
from steno.training.recipe import OptimizerConfig, ScheduleConfig


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, scales: dict[str, float] | None = None
) -> torch.optim.Optimizer:
    """The optimiser of all parameters that are trained; biases and normalisation (one dimension) are not decayed.

    Muon takes the matrices of hidden layers, and the kernels of convolutions as matrices of (channels out, channels in
    × width); depthwise ones, whose channels have nothing to do with each other, are none.

    ``scales`` are factors of the learning rate of some parameters, by name.

    Raises:
        RecipeError: ``muon``, and the model has no matrix that it could take.
    """
    kernels = {id(module.weight) for module in model.modules() if isinstance(module, _CONVOLUTIONS) and _dense(module)}
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            matrix = config.kind == "muon" and "classifier" not in name.split(".")
            matrix = matrix and (parameter.ndim == 2 or id(parameter) in kernels)
            scale = (scales or {}).get(name, 1.0)
            groups.setdefault((not matrix, -scale, parameter.ndim <= 1), []).append(parameter)
    matrices, others = (
        [
            {"params": parameters, "weight_decay": 0.0 if plain else config.weight_decay, "scale": -negative}
            for (other, negative, plain), parameters in sorted(groups.items(), key=lambda entry: entry[0])
            if other is wanted
        ]
        for wanted in (False, True)
    )
    adamw = torch.optim.AdamW(others, lr=config.lr, betas=config.betas, eps=config.eps)
    if config.kind == "adamw":
        return adamw
    if not matrices:
        raise RecipeError("optimizer.kind muon: the model has no hidden matrices", "Take optimizer.kind=adamw.")
    return _MuonAndAdamW(matrices, adamw, config.lr)


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


def _dense(convolution: nn.Conv1d | nn.Conv2d) -> bool:
    return convolution.groups == 1 and convolution.in_channels > 1


class _MuonAndAdamW(torch.optim.Optimizer):
    """Muon and AdamW, of parameters of their own, as one: its groups and its state are theirs.

    torch's Muon takes nothing but matrices, so it is given views of kernels, and their gradients before each step.
    """

    def __init__(self, matrices: list[dict[str, Any]], adamw: torch.optim.AdamW, lr: float) -> None:
        self._views: list[tuple[nn.Parameter, nn.Parameter]] = []
        muon = torch.optim.Muon(
            [{**group, "params": [self._matrix(p) for p in group["params"]]} for group in matrices],
            lr=lr,
            adjust_lr_fn="match_rms_adamw",
        )
        self._parts = [(muon, len(muon.param_groups)), (adamw, len(adamw.param_groups))]
        super().__init__([*muon.param_groups, *adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of both; there is no closure."""
        for kernel, view in self._views:
            view.grad = None if kernel.grad is None else kernel.grad.flatten(1)
        start = 0
        for optimizer, count in self._parts:
            # Loading a state puts new lists and a new state in place of those that the two were made with.
            optimizer.param_groups = self.param_groups[start : start + count]
            optimizer.state = self.state
            optimizer.step()
            start += count

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        super().zero_grad(set_to_none)
        for kernel, view in self._views:
            kernel.grad = view.grad = None

    def _matrix(self, parameter: nn.Parameter) -> nn.Parameter:
        if parameter.ndim == 2:
            return parameter
        view = nn.Parameter(parameter.detach().flatten(1))  # of the same memory
        self._views.append((parameter, view))
        return view


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
