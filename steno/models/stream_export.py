"""One step of a streaming model as an ONNX graph, its state in and out.

The graph is ``stream.onnx`` of a model folder. It computes what ``model.onnx`` does, piece by piece:

- in: ``samples`` (B, M) float32, the signal that T feature frames see, T a multiple of the subsampling and of the
  model's ``step_frames``: from half a window before the first frame's centre to the last frame's window's end, the
  recording's edges reflected;
  ``position`` (B,) int64, output frames that earlier steps were given; ``total`` (B,) int64, feature frames of the
  whole recording, or :data:`UNKNOWN` as long as its end has not come; ``state`` (B, Z) float32, zeros at first.
- out: ``log_probs`` (B, T', V), which are ``delay`` frames late; ``next_state`` (B, Z).
"""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from steno.errors import ModelError
from steno.models.conformer import Conformer
from steno.models.export import TOLERANCE
from steno.models.registry import AcousticModel
from steno.models.rescnn_gru_stream import ResCnnGruStream
from steno.models.stepping import Clock

UNKNOWN = 1 << 40
"""Feature frames of a recording whose end is not known."""


def can_stream(model: AcousticModel) -> bool:
    """Whether it hears streams, carrying its state from step to step."""
    encoder = model.encoder
    able = isinstance(encoder, ResCnnGruStream | Conformer) and encoder.config.streamable
    return able and model.frontend.config.streamable


class StreamStep(nn.Module):
    """The step of a model: front-end, encoder and log-softmax of the next frames.

    Raises:
        ValueError: the model is not a streaming one, or its features cannot be streamed.
    """

    def __init__(self, model: AcousticModel) -> None:
        super().__init__()
        if not can_stream(model):
            raise ValueError("only a streaming model with features that can be streamed has a step")
        assert isinstance(model.encoder, ResCnnGruStream | Conformer)
        self.frontend, self.encoder = model.frontend, model.encoder.to_stream()
        self._log_probs = model.log_probs

    def forward(
        self, samples_bm: Tensor, position_b: Tensor, total_b: Tensor, state_bz: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The graph's inputs to its outputs, as the module says."""
        clock = Clock(position_b, total_b, self.encoder.config.subsampling)
        features_btf = self.frontend.transform(samples_bm, total_b)
        features_btf = features_btf * clock.inside(features_btf.shape[1], stride=1)[..., None]
        tape = _Tape(state_bz)
        logits_btv = self.encoder.step(features_btf, clock, tape)
        return self._log_probs(logits_btv), tape.written()

    def state_size(self) -> int:
        """Numbers that a stream keeps (Z)."""
        c = self.frontend.config
        frames = self.encoder.config.subsampling * self.encoder.config.step_frames
        samples = (frames - 1) * c.hop_length + c.n_fft
        zeros_b = torch.zeros(1, dtype=torch.int64)
        with torch.inference_mode():
            return self.forward(torch.zeros(1, samples), zeros_b, zeros_b + UNKNOWN, torch.zeros(1, 0))[1].shape[1]


class _Tape:
    """A stream's memory as one row: pieces are read from the old row and written to the new one, in the same order."""

    def __init__(self, state_bz: Tensor) -> None:
        self._state_bz, self._offset = state_bz, 0
        self._pieces: list[Tensor] = []

    def take(self, channels: int, frames: int) -> Tensor:
        batch, size = self._state_bz.shape[0], channels * frames
        if self._state_bz.shape[1] == 0:  # the size is being measured
            return self._state_bz.new_zeros(batch, channels, frames)
        piece_bz = self._state_bz[:, self._offset : self._offset + size]
        self._offset += size
        return piece_bz.reshape(-1, channels, frames)

    def keep(self, piece: Tensor) -> None:
        self._pieces.append(piece.flatten(1))

    def written(self) -> Tensor:
        return torch.cat(self._pieces, dim=1)


def export_stream(model: AcousticModel, path: Path) -> float:
    """Write the step's graph, with dynamic batch and number of frames, and prove that its steps make up the model.

    Returns:
        The greatest difference of a log-probability between whole utterances through the model and streams through
        the graph, at several lengths, sizes of step and batch sizes.

    Raises:
        ModelError: the difference is above the tolerance.
        ValueError: the model cannot stream.
    """
    model = model.eval().cpu()
    step = StreamStep(model).eval()
    c = model.frontend.config
    outputs = 2 * step.encoder.config.step_frames
    frames = outputs * step.encoder.config.subsampling
    samples_bm = torch.randn(2, (frames - 1) * c.hop_length + c.n_fft, generator=torch.Generator().manual_seed(0))
    counters = torch.tensor([0, outputs]), torch.tensor([UNKNOWN, 5 * frames])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in export_onnx
        torch.onnx.export(
            step,
            (samples_bm, *counters, torch.zeros(2, step.state_size())),
            str(path),
            input_names=["samples", "position", "total", "state"],
            output_names=["log_probs", "next_state"],
            dynamic_axes={
                "samples": {0: "batch", 1: "samples"},
                **{name: {0: "batch"} for name in ("position", "total", "state", "next_state")},
                "log_probs": {0: "batch", 1: "frames"},
            },
            opset_version=17,
            dynamo=False,
        )
    difference = check_stream(model, path)
    if difference > TOLERANCE:
        raise ModelError(f"{path}: the exported step differs from the model by {difference:.2g}")
    return difference


def check_stream(model: AcousticModel, path: Path) -> float:
    """Greatest difference of a log-probability between the model on whole utterances and streams through the graph."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(1)
    worst = 0.0
    for sizes, outputs in (([1], 1), ([399], 3), ([16_000], 4), ([24_001, 160, 9_999], 2), ([5_000] * 4, 16)):
        lengths = torch.tensor(sizes)
        samples = 0.1 * torch.randn(len(sizes), max(sizes), generator=generator)
        with torch.inference_mode():
            expected, frames = model(samples, lengths)
        found = _streamed(model, session, samples, lengths, outputs)
        for row, count in enumerate(frames.tolist()):
            worst = max(worst, float(np.abs(found[row, :count] - expected[row, :count].numpy()).max()))
    return worst


def _streamed(
    model: AcousticModel, session: onnxruntime.InferenceSession, samples_bn: Tensor, lengths_b: Tensor, outputs: int
) -> np.ndarray:
    """Log-probabilities (B, T', V) of a batch, at least ``outputs`` frames a step, without the delay."""
    encoder, c = model.encoder, model.frontend.config
    assert isinstance(encoder, ResCnnGruStream | Conformer)
    outputs = -(-outputs // encoder.config.step_frames) * encoder.config.step_frames
    signal = model.frontend.reflected(samples_bn, lengths_b).numpy()
    total = model.frontend.frames(lengths_b).numpy()
    hop, span = outputs * encoder.config.subsampling * c.hop_length, c.n_fft - c.hop_length
    state = np.zeros((len(total), session.get_inputs()[3].shape[1]), np.float32)
    steps = -(-(int(model.frames(lengths_b).max()) + encoder.delay) // outputs)
    signal = np.pad(signal, ((0, 0), (0, max(0, steps * hop + span - signal.shape[1]))))
    found = []
    for number in range(steps):
        feeds = {"samples": signal[:, number * hop : (number + 1) * hop + span], "total": total, "state": state}
        feeds["position"] = np.full(len(total), number * outputs)
        log_probs, state = session.run(["log_probs", "next_state"], feeds)
        found.append(log_probs)
    return np.concatenate(found, axis=1)[:, encoder.delay :]
