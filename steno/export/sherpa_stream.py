"""A streaming model as sherpa-onnx's T-one CTC entry takes it.

That entry hands over 2400 samples at a time, (B, 2400, 1) int32 of full scale 32767, and one row of state in half
precision, zeros at first; it wants log-probabilities (B, T, V), as many frames each time, and the next state. So
the graph keeps what it needs in that row: how often it was called, the last samples, and the encoder's state. An
integer is two digits, a number the sum of two halves, which is exact to 22 bits.

A model steps by one frame, or by a chunk of several. Where 2400 samples are no whole number of steps, the graph makes
those that are always there and one more, if there are any; a stream that does not have it yet keeps its state, and
gives its last frame again, which CTC merges.
"""

import warnings
from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from steno.models.registry import AcousticModel
from steno.models.stream_export import UNKNOWN, StreamStep
from steno.text import BLANK

SAMPLES = 2400
"""Samples of a piece."""
RATE = 8000
"""The rate, in Hz, that this entry takes a piece to have."""
_FULL_SCALE = 32_768.0
_CALL_DIGIT = 1024
_SAMPLE_DIGIT = 256
_NEVER = -100.0


class _Steps(nn.Module):
    """So many steps of a stream at once.

    Args:
        step: of the model.
        count: how many.
    """

    def __init__(self, step: StreamStep, count: int) -> None:
        super().__init__()
        self.step, self._count = step, count
        config, encoder = step.frontend.config, step.encoder
        self._hop, self._fft, self._delay = config.hop_length, config.n_fft, encoder.delay
        self._frames = count * encoder.config.step_frames
        self._labels = encoder.classifier.out_features  # those of phonemes come after them
        self._features = self._frames * encoder.config.subsampling

    def forward(self, signal_bn: Tensor, first_b: Tensor, step_b: Tensor, inner_bz: Tensor) -> tuple[Tensor, Tensor]:
        """Their log-probabilities (B, T, V), blanks before the recording, and the encoder's next state (B, Z).

        Args:
            signal_bn: samples that are there (B, N).
            first_b: where in the recording the first of them lies (B,).
            step_b: the number of the first step (B,).
            inner_bz: the encoder's state (B, Z).
        """
        window_m = torch.arange((self._features - 1) * self._hop + self._fft)
        samples = self._features * self._hop // self._count
        place_bm = (step_b * samples - self._fft // 2)[:, None] + window_m
        index_bm = (place_bm.abs() - first_b[:, None]).clamp(0, signal_bn.shape[1] - 1)
        window_bm = signal_bn.gather(1, index_bm) / _FULL_SCALE
        position_b = step_b * (self._frames // self._count)
        found_btv, inner_bz = self.step(window_bm, position_b, position_b * 0 + UNKNOWN, inner_bz)
        found_btv = found_btv[..., : self._labels]
        number_bt = position_b[:, None] + torch.arange(self._frames) - self._delay
        return torch.where((number_bt >= 0)[..., None], found_btv, _silent(found_btv.shape[2])), inner_bz


class _Perhaps(nn.Module):
    """One step for those streams of a batch that have it; nothing is computed where none has.

    Args:
        one: :class:`_Steps` of one step, traced.
        frames: that it gives.
    """

    def __init__(self, one: nn.Module, frames: int) -> None:
        super().__init__()
        self.one, self.frames = one, frames

    def forward(
        self, more_b: Tensor, last_bv: Tensor, signal_bn: Tensor, first_b: Tensor, step_b: Tensor, inner_bz: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As :class:`_Steps`; a stream without a step gives its last frame again and keeps its state."""
        found_btv, later_bz = last_bv[:, None].repeat(1, self.frames, 1), inner_bz
        if bool(more_b.any()):
            next_btv, next_bz = self.one(signal_bn, first_b, step_b, inner_bz)
            found_btv = torch.where(more_b[:, None, None], next_btv, found_btv)
            later_bz = torch.where(more_b[:, None], next_bz, inner_bz)
        return found_btv, later_bz


class SherpaStep(nn.Module):
    """What sherpa-onnx calls with each piece of a stream."""

    def __init__(self, model: AcousticModel) -> None:
        super().__init__()
        step = StreamStep(model).eval()
        c, encoder = step.frontend.config, step.encoder
        pad, frames = c.n_fft // 2, encoder.config.step_frames
        self._samples = frames * encoder.config.subsampling * c.hop_length
        self._count = SAMPLES // self._samples
        # Samples that the last window of a step sees beyond the step's own.
        self._beyond = max(0, c.n_fft - pad - c.hop_length)
        # Steps that are never missing wait for them by as many steps, those that may be missing by so many samples.
        self._late = -(-self._beyond // self._samples) if self._count else 0
        self._kept = self._samples + pad + (self._late * self._samples if self._count else self._beyond)
        self._labels, self._inner = encoder.classifier.out_features, step.state_size()
        self.state_size = 2 + 2 * self._kept + 2 * (self._labels + self._inner)
        self.always = _Steps(step, self._count) if self._count else None
        self.perhaps: nn.Module | None = None
        if SAMPLES % self._samples:
            zeros_b = torch.zeros(2, dtype=torch.int64)
            like = torch.zeros(2, self._kept + SAMPLES), zeros_b, zeros_b, torch.zeros(2, self._inner)
            one = torch.jit.trace(_Steps(step, 1).eval(), like)
            self.perhaps = torch.jit.script(_Perhaps(one, frames))

    def forward(self, samples_bn1: Tensor, state_bz: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, 2400, 1) int32 and state (B, Z) half → log-probabilities (B, T, V) and the next state."""
        calls_b, kept_bn, last_bv, inner_bz = self._read(state_bz.float())
        # They are n / 32768 * 32767 cut towards zero, of 16-bit samples n: one short of each that is not zero.
        samples_bn = (samples_bn1[..., 0] + samples_bn1[..., 0].sign()).float()
        signal_bn = torch.cat([kept_bn, samples_bn], dim=1)
        first_b = calls_b * SAMPLES - self._kept
        step_b, found = self._steps(calls_b), []
        if self.always is not None:
            found_btv, inner_bz = self.always(signal_bn, first_b, step_b, inner_bz)
            found.append(found_btv)
            step_b, last_bv = step_b + self._count, found_btv[:, -1]
        if self.perhaps is not None:
            more_b = self._steps(calls_b + 1) > step_b
            found_btv, inner_bz = self.perhaps(more_b, last_bv, signal_bn, first_b, step_b, inner_bz)
            found.append(found_btv)
        found_btv = torch.cat(found, dim=1)
        return found_btv, self._written(calls_b + 1, signal_bn[:, -self._kept :], found_btv[:, -1], inner_bz)

    def _steps(self, calls_b: Tensor) -> Tensor:
        """Steps that so many calls have made; where each call makes some, the first ones lie before the recording."""
        samples_b = calls_b * SAMPLES
        if self._count:
            return torch.div(samples_b, self._samples, rounding_mode="floor") - self._late
        return torch.div((samples_b - self._beyond).clamp(min=0), self._samples, rounding_mode="floor")

    def _read(self, state_bz: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        exact = self._labels + self._inner
        digits_b2, high_bn, low_bn, rough_bz, fine_bz = state_bz.split([2, self._kept, self._kept, exact, exact], dim=1)
        calls_b = (digits_b2[:, 0] * _CALL_DIGIT + digits_b2[:, 1]).to(torch.int64)
        last_bv, inner_bz = (rough_bz + fine_bz).split([self._labels, self._inner], dim=1)
        # Before the first step nothing was said.
        last_bv = torch.where((self._steps(calls_b) > 0)[:, None], last_bv, _silent(self._labels))
        return calls_b, high_bn * _SAMPLE_DIGIT + low_bn, last_bv, inner_bz

    def _written(self, calls_b: Tensor, kept_bn: Tensor, last_bv: Tensor, inner_bz: Tensor) -> Tensor:
        calls_b1 = calls_b[:, None]
        many_b1 = torch.div(calls_b1, _CALL_DIGIT, rounding_mode="floor")
        high_bn = torch.floor(kept_bn / _SAMPLE_DIGIT)
        exact_bz = torch.cat([last_bv, inner_bz], dim=1)
        rough_bz = exact_bz.half()
        parts = [many_b1, calls_b1 - many_b1 * _CALL_DIGIT, high_bn, kept_bn - high_bn * _SAMPLE_DIGIT]
        halves = [rough_bz, (exact_bz - rough_bz.float()).half()]
        return torch.cat([*(part.half() for part in parts), *halves], dim=1)


def _silent(labels: int) -> Tensor:
    """Log-probabilities (V,) of a frame that is surely blank."""
    return torch.full((labels,), _NEVER).index_fill(0, torch.tensor([BLANK]), 0.0)


def export_stream(model: AcousticModel, path: Path) -> None:
    """Write the graph, with the metadata that sherpa-onnx reads."""
    samples = torch.zeros(2, SAMPLES, 1, dtype=torch.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in steno.models.export
        step = SherpaStep(model.eval().cpu()).eval()
        given = samples, torch.zeros(2, step.state_size, dtype=torch.float16)
        torch.onnx.export(
            torch.jit.trace(step, given),  # which keeps the branch of a step that may be missing
            given,
            str(path),
            input_names=["samples", "state"],
            output_names=["log_probs", "next_state"],
            dynamic_axes={name: {0: "batch"} for name in ("samples", "state", "log_probs", "next_state")},
            opset_version=17,
            dynamo=False,
        )
    graph = onnx.load(path)
    milliseconds = 1000 * SAMPLES // RATE
    helper.set_model_props(
        graph,
        {
            "model_type": "t-one",
            "sample_rate": str(RATE),
            "frame_length_ms": str(milliseconds),
            "state_dim": str(step.state_size),
        },
    )
    onnx.save(graph, path)
