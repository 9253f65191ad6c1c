"""``rescnn-gru-stream``: the family of ``rescnn-bigru`` made causal, with a bounded look-ahead.

Strided stem, residual blocks over time, GRUs that run forwards only, and after each GRU a look-ahead convolution
(row convolution). Source of the latter: Wang et al., "Lookahead Convolution Layer for Unidirectional Recurrent
Neural Networks", ICLR workshop 2016; Amodei et al., "Deep Speech 2", ICML 2016.

Every layer has two ways through it: ``forward`` for whole utterances, and ``step`` for the next frames of a
stream. A layer that sees r frames ahead gives its frames r later in a stream, so each place in the network has a
delay; :class:`~steno.models.stepping.Clock` knows which of the frames there belong to the utterance.
"""

import copy
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steno.models.config import ResCnnGruStreamConfig
from steno.models.layers import Dropout, inside_mask, recomputed, strided
from steno.models.stepping import Clock, Memory

Layer = TypeVar("Layer", bound=nn.Module)

_HOLD = 1e4
"""Input of an update gate that leaves a GRU's state as it is: its sigmoid is 1 in float32."""


class ResCnnGruStream(nn.Module):
    """Features to CTC logits. Padding never changes an utterance's output: alone or in a batch, it is the same.

    Args:
        features: F.
        labels: V.
        config: sizes and look-ahead.
        seconds_per_frame: distance of two feature frames.

    Raises:
        ValueError: the look-ahead is too short for the stem.
    """

    def __init__(self, features: int, labels: int, config: ResCnnGruStreamConfig, seconds_per_frame: float) -> None:
        super().__init__()
        self.config = c = config
        plan = config.plan(seconds_per_frame)
        self.delay = plan.frames
        sizes = [features] + [c.channels] * len(c.stem_strides)
        self.stem = nn.ModuleList(
            AheadConv(sizes[i], c.channels, max(5, 2 * stride - 1), stride - 1, stride)
            for i, stride in enumerate(c.stem_strides)
        )
        self.stem_norms = nn.ModuleList(nn.LayerNorm(c.channels) for _ in c.stem_strides)
        self.blocks = nn.ModuleList(_Block(c, plan.convolutions[2 * i : 2 * i + 2]) for i in range(c.blocks))
        self.linear = nn.Linear(c.channels, c.rnn_size)
        self.rnns = nn.ModuleList(_Recurrent(c.rnn_size, ahead, c.dropout) for ahead in plan.rnns)
        self.dropout = Dropout(c.dropout)
        self.norm = nn.LayerNorm(c.rnn_size)
        self.hidden = nn.Linear(c.rnn_size, c.rnn_size)
        self.classifier = nn.Linear(c.rnn_size, labels)

    def frames(self, frames_b: Tensor) -> Tensor:
        """Output frames of utterances of so many feature frames."""
        for stride in self.config.stem_strides:
            frames_b = strided(frames_b, stride)
        return frames_b

    def forward(self, features_btf: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) and their frames (B,) → logits (B, T', V) and their frames (B,)."""
        x_btd = features_btf
        for conv, norm, stride in zip(self.stem, self.stem_norms, self.config.stem_strides, strict=True):
            frames_b = strided(frames_b, stride)
            x_btd = F.gelu(norm(conv(x_btd)))
            x_btd = x_btd * inside_mask(frames_b, x_btd.shape[1])[..., None]
        inside_bt1 = inside_mask(frames_b, x_btd.shape[1])[..., None]
        for block in self.blocks:
            x_btd = recomputed(block, x_btd, inside_bt1, when=self.config.checkpoint_gradients)
        x_btd = self.linear(x_btd)
        for rnn in self.rnns:
            x_btd = recomputed(rnn, x_btd, inside_bt1, when=self.config.checkpoint_gradients)
        return self._classify(x_btd), frames_b

    def step(self, features_btf: Tensor, clock: Clock, memory: Memory) -> Tensor:
        """The next features (B, T, F), T a multiple of the subsampling → logits (B, T', V).

        Only for what :meth:`to_stream` gives. The logits are those of :meth:`forward`, ``delay`` frames later; the
        first ``delay`` of an utterance are none of its frames.
        """
        x_btd, stride_done = features_btf, 1
        for conv, norm, stride in zip(
            _each(AheadConv, self.stem), self.stem_norms, self.config.stem_strides, strict=True
        ):
            stride_done *= stride
            x_btd = F.gelu(norm(conv.step(x_btd, memory)))
            x_btd = x_btd * clock.inside(x_btd.shape[1], stride=stride_done)[..., None]
        delay = 0
        for block in _each(_Block, self.blocks):
            x_btd, delay = block.step(x_btd, clock, delay, memory)
        x_btd = self.linear(x_btd)
        for rnn in _each(_Recurrent, self.rnns):
            x_btd, delay = rnn.step(x_btd, clock, delay, memory)
        return self._classify(x_btd)

    def to_stream(self) -> "ResCnnGruStream":
        """A copy that :meth:`step` can be called on."""
        twin = copy.deepcopy(self)
        for rnn in _each(_Recurrent, twin.rnns):
            rnn.holding = _holding(rnn.gru)
        return twin

    def _classify(self, x_btd: Tensor) -> Tensor:
        logits_btv: Tensor = self.classifier(F.gelu(self.hidden(self.dropout(self.norm(x_btd)))))
        return logits_btv


class AheadConv(nn.Module):
    """A convolution over time that sees ``ahead`` frames after its own: (B, T, D) → (B, T', D')."""

    def __init__(
        self, size_in: int, size: int, kernel: int, ahead: int, stride: int = 1, depthwise: bool = False
    ) -> None:
        super().__init__()
        self.ahead = ahead
        self._past = kernel - 1 - ahead
        self._kept = kernel - stride
        self.conv = nn.Conv1d(size_in, size, kernel, stride=stride, groups=size if depthwise else 1)

    def forward(self, x_btd: Tensor) -> Tensor:
        return self._convolve(F.pad(x_btd.transpose(1, 2), (self._past, self.ahead)))

    def step(self, x_btd: Tensor, memory: Memory) -> Tensor:
        """As many frames later as the convolution, without its stride, sees ahead."""
        x_bdt = torch.cat([memory.take(self.conv.in_channels, self._kept), x_btd.transpose(1, 2)], dim=2)
        memory.keep(x_bdt[:, :, -self._kept :])
        return self._convolve(x_bdt)

    def _convolve(self, x_bdt: Tensor) -> Tensor:
        y_btd: Tensor = self.conv(x_bdt).transpose(1, 2)
        return y_btd


class _Block(nn.Module):
    """Twice: normalise, GELU, dropout, convolution; then add the input. Source: He et al., ECCV 2016."""

    def __init__(self, config: ResCnnGruStreamConfig, ahead: tuple[int, ...]) -> None:
        super().__init__()
        self.size = config.channels
        self.norms = nn.ModuleList(nn.LayerNorm(config.channels) for _ in ahead)
        self.convs = nn.ModuleList(
            AheadConv(config.channels, config.channels, config.kernel, frames) for frames in ahead
        )
        self.dropout = Dropout(config.dropout)

    def forward(self, x_btd: Tensor, inside_bt1: Tensor) -> Tensor:
        y_btd = x_btd
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y_btd = conv(self.dropout(F.gelu(norm(y_btd))) * inside_bt1)
        return (x_btd + y_btd) * inside_bt1

    def step(self, x_btd: Tensor, clock: Clock, delay: int, memory: Memory) -> tuple[Tensor, int]:
        y_btd, start = x_btd, delay
        for norm, conv in zip(self.norms, _each(AheadConv, self.convs), strict=True):
            y_btd = conv.step(F.gelu(norm(y_btd)) * clock.inside(y_btd.shape[1], delay)[..., None], memory)
            delay += conv.ahead
        x_btd = _later(x_btd, self.size, delay - start, memory)
        return (x_btd + y_btd) * clock.inside(x_btd.shape[1], delay)[..., None], delay


class _Recurrent(nn.Module):
    """Normalise, GRU, look-ahead convolution, dropout; then add the input."""

    holding: nn.GRU

    def __init__(self, size: int, ahead: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.gru = nn.GRU(size, size, batch_first=True)
        self.ahead = ahead
        self.lookahead = AheadConv(size, size, ahead + 1, ahead, depthwise=True) if ahead else None
        self.dropout = Dropout(dropout)

    def forward(self, x_btd: Tensor, inside_bt1: Tensor) -> Tensor:
        y_btd, _ = self.gru(self.norm(x_btd))
        if self.lookahead is not None:
            y_btd = self.lookahead(y_btd * inside_bt1)
        return x_btd + self.dropout(y_btd)

    def step(self, x_btd: Tensor, clock: Clock, delay: int, memory: Memory) -> tuple[Tensor, int]:
        size = self.gru.hidden_size
        inside_bt1 = clock.inside(x_btd.shape[1], delay)[..., None]
        hidden_1bd = memory.take(size, 1).permute(2, 0, 1)
        held_btd = torch.cat([self.norm(x_btd), (~inside_bt1).to(x_btd.dtype)], dim=2)
        y_btd, hidden_1bd = self.holding(held_btd, hidden_1bd.contiguous())
        memory.keep(hidden_1bd.permute(1, 2, 0))
        if self.lookahead is not None:
            y_btd = self.lookahead.step(y_btd * inside_bt1, memory)
        return _later(x_btd, size, self.ahead, memory) + y_btd, delay + self.ahead


def _holding(gru: nn.GRU) -> nn.GRU:
    """The same GRU with one input more: where that is 1, the state stays as it is.

    A stream's first frames are none of the utterance where the layers before see ahead; the state has to be that
    of the start when the utterance begins, which may be in the middle of a step.
    """
    size = gru.hidden_size
    held = nn.GRU(gru.input_size + 1, size, batch_first=True)
    column = torch.zeros(3 * size, 1)
    column[size : 2 * size] = _HOLD  # the rows of the update gate
    with torch.no_grad():
        held.get_parameter("weight_ih_l0").copy_(torch.cat([gru.get_parameter("weight_ih_l0"), column], dim=1))
        for name in ("weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            held.get_parameter(name).copy_(gru.get_parameter(name))
    return held.requires_grad_(False)


def _later(x_btd: Tensor, size: int, frames: int, memory: Memory) -> Tensor:
    """The same frames (B, T, size), so many later."""
    if not frames:
        return x_btd
    x_bdt = torch.cat([memory.take(size, frames), x_btd.transpose(1, 2)], dim=2)
    memory.keep(x_bdt[:, :, -frames:])
    return x_bdt[:, :, :-frames].transpose(1, 2)


def _each(kind: type[Layer], layers: nn.ModuleList) -> Iterator[Layer]:
    """The layers, all of a kind."""
    for layer in layers:
        assert isinstance(layer, kind)
        yield layer
