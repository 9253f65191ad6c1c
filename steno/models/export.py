"""The trained model as an ONNX graph: samples in, log-probabilities out, the front-end inside."""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from steno.errors import ModelError
from steno.models.registry import AcousticModel

TOLERANCE = 1e-3
"""Greatest difference of a log-probability between torch and the graph that is accepted."""


def export_onnx(model: AcousticModel, path: Path) -> float:
    """Write the graph, with dynamic batch and time, and prove that it computes what the model does.

    Inputs: ``samples`` (B, N) float32 and ``lengths`` (B,) int64. Outputs: ``log_probs`` (B, T, V) and
    ``frames`` (B,).

    Returns:
        The greatest difference of a log-probability, at batch sizes and lengths that were not traced.

    Raises:
        ModelError: the difference is above :data:`TOLERANCE`.
    """
    model = model.eval().cpu()
    rate = model.frontend.config.sample_rate
    example = (torch.randn(2, rate, generator=torch.Generator().manual_seed(0)), torch.tensor([rate, rate // 2]))
    with warnings.catch_warnings():
        # The exporter warns of itself (it is the older one), and of GRU batch sizes, which check_graph tests.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            example,
            str(path),
            input_names=["samples", "lengths"],
            output_names=["log_probs", "frames"],
            dynamic_axes={
                "samples": {0: "batch", 1: "samples"},
                "lengths": {0: "batch"},
                "log_probs": {0: "batch", 1: "frames"},
                "frames": {0: "batch"},
            },
            opset_version=17,
            dynamo=False,
        )
    difference = check_graph(model, path)
    if difference > TOLERANCE:
        raise ModelError(f"{path}: the exported graph differs from the model by {difference:.2g}")
    return difference


def check_graph(model: AcousticModel, path: Path) -> float:
    """Greatest difference of a log-probability between model and graph, on noise of several shapes."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(1)
    worst = 0.0
    for sizes in ([1], [399], [16_000], [24_001, 160, 9_999], [5_000] * 5):
        lengths = torch.tensor(sizes)
        samples = 0.1 * torch.randn(len(sizes), max(sizes), generator=generator)
        with torch.inference_mode():
            expected, frames = model(samples, lengths)
        found, found_frames = session.run(None, {"samples": samples.numpy(), "lengths": lengths.numpy()})
        if not np.array_equal(found_frames, frames.numpy()):
            raise ModelError(f"{path}: the exported graph gives {found_frames} frames, the model {frames}")
        for row, count in enumerate(found_frames):
            worst = max(worst, float(np.abs(found[row, :count] - expected[row, :count].numpy()).max()))
    return worst
