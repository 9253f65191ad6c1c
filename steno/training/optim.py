"""Optimiser and schedule."""

from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

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
_MOMENTUM = 0.95
"""Of Muon."""


def _dense(convolution: nn.Conv1d | nn.Conv2d) -> bool:
    return convolution.groups == 1 and convolution.in_channels > 1


class _MuonAndAdamW(torch.optim.Optimizer):
    """Muon and AdamW, of parameters of their own, as one.

    Muon is momentum whose step of each matrix is made orthogonal; what has more than two dimensions is flattened to
    one. Source: Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024, with the factor by which a
    step is as large as AdamW's of Liu et al., "Muon is Scalable for LLM Training", 2025. It is
    :class:`torch.optim.Muon`, with its defaults, for all matrices of a shape at once: a GPU takes longer to start the
    two dozen kernels of each of a hundred small matrices than to run them.
    """

    def __init__(self, matrices: list[dict[str, Any]], adamw: torch.optim.AdamW, lr: float) -> None:
        self._adamw, self._matrices = adamw, len(matrices)
        super().__init__([*matrices, *adamw.param_groups], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of both; there is no closure."""
        for group in self.param_groups[: self._matrices]:
            self._step_matrices(group)
        # Loading a state puts new lists and a new state in place of those that it was made with.
        self._adamw.param_groups, self._adamw.state = self.param_groups[self._matrices :], self.state
        self._adamw.step()

    def _step_matrices(self, group: dict[str, Any]) -> None:
        alike: dict[torch.Size, list[Tensor]] = {}
        for parameter in group["params"]:
            if parameter.grad is not None:
                alike.setdefault(parameter.flatten(1).shape, []).append(parameter)
        for shape, parameters in alike.items():
            directions = orthogonal(torch.stack(self._momenta(parameters)))
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            steps = [step.view_as(p) for step, p in zip(directions, parameters, strict=True)]
            torch._foreach_add_(parameters, steps, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def _momenta(self, parameters: list[Tensor]) -> list[Tensor]:
        """Nesterov's, as matrices, after these gradients."""
        gradients = [parameter.grad.flatten(1) for parameter in parameters if parameter.grad is not None]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(gradient)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - _MOMENTUM)
        return list(torch._foreach_lerp(gradients, buffers, _MOMENTUM))


def orthogonal(matrices_kmn: Tensor) -> Tensor:
    """Matrices (K, M, N) with the singular vectors that they have, and singular values near 1, in bfloat16's precision.

    Five steps of the quintic Newton-Schulz iteration that :class:`torch.optim.Muon` takes.
    """
    x_kmn = matrices_kmn.bfloat16()
    tall = x_kmn.shape[1] > x_kmn.shape[2]
    if tall:
        x_kmn = x_kmn.mT
    x_kmn = x_kmn / x_kmn.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        gram_kmm = x_kmn @ x_kmn.mT
        x_kmn = torch.baddbmm(
            x_kmn, torch.baddbmm(gram_kmm, gram_kmm, gram_kmm, beta=-4.7750, alpha=2.0315), x_kmn, beta=3.4445
        )
    return (x_kmn.mT if tall else x_kmn).to(matrices_kmn.dtype)


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
