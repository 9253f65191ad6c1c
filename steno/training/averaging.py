"""Averages of weights: parameters, and the running statistics of batch normalisation, where a model has any."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from steno.models.layers import statistics

Weights = dict[str, Tensor]


def weights_of(model: nn.Module) -> Weights:
    """The model's own tensors, by name."""
    return {**dict(model.named_parameters()), **statistics(model)}


class ExponentialAverage:
    """Exponential moving average of a model's weights.

    The decay grows from 0.1 towards its final value, so that the first steps are forgotten. Source: Polyak and
    Juditsky, "Acceleration of stochastic approximation by averaging", 1992, in its exponential form.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights: Weights = {name: w.detach().clone() for name, w in weights_of(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after one more step."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))
        names = list(self.weights)
        current = weights_of(model)
        torch._foreach_lerp_([self.weights[n] for n in names], [current[n].detach() for n in names], 1 - decay)


@contextmanager
def swapped(model: nn.Module, weights: Weights | None) -> Iterator[None]:
    """Within the block the model has these weights; None leaves it as it is."""
    if weights is None:
        yield
        return
    own = {name: w.detach().clone() for name, w in weights_of(model).items()}
    load_weights(model, weights)
    try:
        yield
    finally:
        load_weights(model, own)


@torch.no_grad()
def load_weights(model: nn.Module, weights: Weights) -> None:
    """Copy values into a model's weights, in place."""
    for name, weight in weights_of(model).items():
        weight.copy_(weights[name])


def mean(sets: Iterable[Weights]) -> Weights:
    """The mean of several sets of weights."""
    total: Weights = {}
    count = 0
    for weights in sets:
        count += 1
        for name, value in weights.items():
            total[name] = total[name] + value.double() if name in total else value.double()
    return {name: (value / count).float() for name, value in total.items()}
