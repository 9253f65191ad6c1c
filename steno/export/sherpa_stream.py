"""A streaming model as sherpa-onnx's T-one CTC entry takes it.

That entry hands over 2400 samples at a time, (B, 2400, 1) int32 of full scale 32767, and one row of state in half
precision, zeros at first; it wants log-probabilities (B, T, V), as many frames each time, and the next state. So
the graph keeps what it needs in that row: how often it was called, the last samples, and the encoder's state. An
integer is two digits, a number the sum of two halves, which is exact to 22 bits. Where 2400 samples are no whole
number of frames, the graph makes one step of those that are always there and one of a single frame; a stream that
does not have it yet keeps its state, and its last frame again, which CTC merges.
"""

import warnings
from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from steno.errors import ModelError
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


class SherpaStep(nn.Module):
    """What sherpa-onnx calls with each piece of a stream.

    Raises:
        ModelError: a piece holds no whole frame.
    """

    def __init__(self, model: AcousticModel) -> None:
        super().__init__()
        self.step = StreamStep(model).eval()
        features, encoder = model.frontend.config, self.step.encoder
        self._hop, self._fft = features.hop_length, features.n_fft
        self._pad = features.n_fft // 2
        self._subsampling, self._delay = encoder.config.subsampling, encoder.delay
        self._frame = self._subsampling * self._hop
        self._whole = SAMPLES // self._frame
        if not self._whole:
            raise ModelError(
                f"a frame of this model is {self._frame} samples, and sherpa-onnx hands over {SAMPLES} at a time",
                "Lower the strides of the model's stem.",
            )
        # Frames by which the window of the last one reaches beyond the samples that are there.
        self._late = max(0, -(-(self._fft - self._pad - self._hop) // self._frame))
        self._kept = (1 + self._late) * self._frame + self._pad
        self._inner = self.step.state_size()
        self.state_size = 2 + 2 * self._kept + 2 * self._inner

    def forward(self, samples_bn1: Tensor, state_bz: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, 2400, 1) int32 and state (B, Z) half → log-probabilities (B, T, V) and the next state."""
        calls_b, kept_bn, inner_bz = self._read(state_bz.float())
        # They are n / 32768 * 32767 cut towards zero, of 16-bit samples n: one short of each that is not zero.
        samples_bn = (samples_bn1[..., 0] + samples_bn1[..., 0].sign()).float()
        signal_bn = torch.cat([kept_bn, samples_bn], dim=1)
        first_b = calls_b * SAMPLES - self._kept
        position_b = self._given(calls_b)
        total_b = position_b * 0 + UNKNOWN
        found_btv, inner_bz = self._advance(signal_bn, first_b, position_b, total_b, inner_bz, self._whole)
        if SAMPLES % self._frame:
            more_b1 = (self._given(calls_b + 1) - position_b > self._whole)[:, None]
            next_b = position_b + self._whole
            last_btv, later_bz = self._advance(signal_bn, first_b, next_b, total_b, inner_bz, 1)
            inner_bz = torch.where(more_b1, later_bz, inner_bz)
            found_btv = torch.cat([found_btv, torch.where(more_b1[..., None], last_btv, found_btv[:, -1:])], dim=1)
        return found_btv, self._written(calls_b + 1, signal_bn[:, -self._kept :], inner_bz)

    def _given(self, calls_b: Tensor) -> Tensor:
        """Frames that so many calls have computed; the first ones lie before the recording."""
        return torch.div(calls_b * SAMPLES, self._frame, rounding_mode="floor") - self._late

    def _advance(
        self, signal_bn: Tensor, first_b: Tensor, position_b: Tensor, total_b: Tensor, inner_bz: Tensor, frames: int
    ) -> tuple[Tensor, Tensor]:
        """So many frames, with blanks for those before the recording, and the encoder's next state."""
        window_m = torch.arange((frames * self._subsampling - 1) * self._hop + self._fft)
        place_bm = (position_b * self._frame - self._pad)[:, None] + window_m
        index_bm = (place_bm.abs() - first_b[:, None]).clamp(0, signal_bn.shape[1] - 1)
        window_bm = signal_bn.gather(1, index_bm) / _FULL_SCALE
        found_btv, inner_bz = self.step(window_bm, position_b, total_b, inner_bz)
        number_bt = position_b[:, None] + torch.arange(frames) - self._delay
        silent_v = torch.full((found_btv.shape[2],), _NEVER).index_fill(0, torch.tensor([BLANK]), 0.0)
        return torch.where((number_bt >= 0)[..., None], found_btv, silent_v), inner_bz

    def _read(self, state_bz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        digits_b2, high_bn, low_bn, rough_bz, fine_bz = state_bz.split(
            [2, self._kept, self._kept, self._inner, self._inner], dim=1
        )
        calls_b = (digits_b2[:, 0] * _CALL_DIGIT + digits_b2[:, 1]).to(torch.int64)
        return calls_b, high_bn * _SAMPLE_DIGIT + low_bn, rough_bz + fine_bz

    def _written(self, calls_b: Tensor, kept_bn: Tensor, inner_bz: Tensor) -> Tensor:
        calls_b1 = calls_b[:, None]
        many_b1 = torch.div(calls_b1, _CALL_DIGIT, rounding_mode="floor")
        high_bn = torch.floor(kept_bn / _SAMPLE_DIGIT)
        rough_bz = inner_bz.half()
        parts = [many_b1, calls_b1 - many_b1 * _CALL_DIGIT, high_bn, kept_bn - high_bn * _SAMPLE_DIGIT]
        halves = [rough_bz, (inner_bz - rough_bz.float()).half()]
        return torch.cat([*(part.half() for part in parts), *halves], dim=1)


def export_stream(model: AcousticModel, path: Path) -> None:
    """Write the graph, with the metadata that sherpa-onnx reads.

    Raises:
        ModelError: a piece of 2400 samples holds no whole frame.
    """
    step = SherpaStep(model.eval().cpu()).eval()
    samples = torch.zeros(2, SAMPLES, 1, dtype=torch.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in steno.models.export
        torch.onnx.export(
            step,
            (samples, torch.zeros(2, step.state_size, dtype=torch.float16)),
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
